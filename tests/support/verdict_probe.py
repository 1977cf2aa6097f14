# SPDX-License-Identifier: BSD-3-Clause
"""Print the verdicts on many files: see verdicts.

    python -m support.verdict_probe JOBS

JOBS is a pickled list of (file, options). Prints JSON: the entropy stage, and the fields of each verdict.
"""

import json
import pickle
import sys

import fastimg
from support.verdicts import verdict


def main():
    with open(sys.argv[1], "rb") as file:
        jobs = pickle.load(file)
    print(json.dumps([fastimg.build_info()["entropy"], [verdict(data, **options) for data, options in jobs]]))


if __name__ == "__main__":
    main()
