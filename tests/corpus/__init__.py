# SPDX-License-Identifier: GPL-2.0-or-later
"""What records mean in the words of a corpus: one file a protocol."""
