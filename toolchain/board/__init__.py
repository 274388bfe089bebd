"""Boards: other machines that run bundles and candidates of the tuner, over TVM's RPC.

On the board runs the server of `native/`, which `pack` builds. Here, `place` says where a board is, `tracker` finds a
free one, `tunnel` leads there through ssh. Whatever is said to a board is said by a helper process (`worker`,
with `session` inside): calls into TVM's RPC cannot be interrupted, a process can. `board` is what the rest of the
toolchain sees of it, `describe` what is known of the machine.
"""
