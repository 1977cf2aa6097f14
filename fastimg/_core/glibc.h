/* SPDX-License-Identifier: BSD-3-Clause */
/* Lets a library that is built with a new glibc run with one as old as 2.28. Include it after a header of the system. */
#ifndef FI_GLIBC_H
#define FI_GLIBC_H

/*
 * These functions have new versions since glibc 2.29 and 2.34. The old ones do the same here: exp() and log() differ
 * only in how they report errors, and the others moved to another library. A static library has no versions, hence PIC.
 */
#if defined(__GLIBC__) && defined(__PIC__) && !defined(__PIE__)
#if defined(__x86_64__) && defined(__LP64__)
__asm__(".symver exp, exp@GLIBC_2.2.5");
__asm__(".symver log, log@GLIBC_2.2.5");
__asm__(".symver pthread_condattr_setclock, pthread_condattr_setclock@GLIBC_2.3.3");
__asm__(".symver pthread_mutexattr_init, pthread_mutexattr_init@GLIBC_2.2.5");
__asm__(".symver pthread_mutexattr_settype, pthread_mutexattr_settype@GLIBC_2.2.5");
__asm__(".symver pthread_mutexattr_destroy, pthread_mutexattr_destroy@GLIBC_2.2.5");
#elif defined(__aarch64__) && defined(__LP64__)
__asm__(".symver exp, exp@GLIBC_2.17");
__asm__(".symver log, log@GLIBC_2.17");
__asm__(".symver pthread_condattr_setclock, pthread_condattr_setclock@GLIBC_2.17");
__asm__(".symver pthread_mutexattr_init, pthread_mutexattr_init@GLIBC_2.17");
__asm__(".symver pthread_mutexattr_settype, pthread_mutexattr_settype@GLIBC_2.17");
__asm__(".symver pthread_mutexattr_destroy, pthread_mutexattr_destroy@GLIBC_2.17");
#endif
#endif

/*
 * stat() and fstat() are new symbols of glibc 2.33, and statx(), an old one, is refused by sandboxes that do not know the
 * system call, such as old versions of Docker. On these processors the kernel fills in a struct stat as glibc has it.
 */
#if defined(__GLIBC__) && defined(__LP64__) && (defined(__x86_64__) || defined(__aarch64__))
#define FI_STAT_BY_SYSCALL
#endif

#endif
