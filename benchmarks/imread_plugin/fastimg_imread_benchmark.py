# SPDX-License-Identifier: BSD-3-Clause
"""fastimg as a decoder of the imread-benchmark framework, which finds the class by its entry point."""

from typing import ClassVar

from imread_benchmark.decoders import BaseDecoder


class FastimgDecoder(BaseDecoder):
    """Fresh (H, W, 3) uint8 RGB arrays, as the framework wants them; its reference leaves images as they are stored."""

    name = "fastimg"
    package_name = "fastimg"
    options: ClassVar = {"layout": "HWC", "orient": False}

    def decode(self, data):
        """Decode JPEG bytes."""
        import fastimg

        return fastimg.decode(data, **self.options)

    def decode_path(self, path):
        """Decode a JPEG file, which fastimg reads itself."""
        import fastimg

        return fastimg.decode(path, **self.options)
