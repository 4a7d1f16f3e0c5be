/* SPDX-License-Identifier: Apache-2.0 */
/* Erases Metal's own words, as the compiler's lexer does, so that plain clang reads a kernel. */
#define kernel
#define device
#define thread
#define threadgroup
#define constant const
