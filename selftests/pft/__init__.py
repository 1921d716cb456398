# SPDX-License-Identifier: BSD-2-Clause
"""What the selftests share: namespaces, pfd in one of them, packets, checks."""
