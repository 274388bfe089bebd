"""The command line that runs, put together again from what was understood of it."""

from __future__ import annotations

import shlex

import typer


def command_line(context: typer.Context) -> str:
    """Return the command that runs as a shell takes it: what the user gave, without what has its default."""
    words = context.command_path.split()
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is None or source.name == "DEFAULT":
            continue
        value = context.params.get(name)
        values = value if isinstance(value, list | tuple) else [value]
        if parameter.param_type_name == "argument":
            words += [str(one) for one in values]
        elif getattr(parameter, "is_flag", False):
            words.append((parameter.opts if value else parameter.secondary_opts or parameter.opts)[-1])
        else:
            words += [word for one in values for word in (parameter.opts[-1], str(one))]
    return shlex.join(words)
