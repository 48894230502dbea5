"""The `attnlib` command.

Each command imports what only it needs when it runs. Bad input ends with one line on standard error and exit status 2,
a failed run with 1, Ctrl-C with 130.
"""

import typer

from attnlib.cli import compare, data, ledger, modules, networks, report, train

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Attention modules for vision.")
app.command("list")(modules.list_)
app.command()(modules.info)
app.command("attach")(networks.attach_)
app.command()(networks.profile)
app.command()(compare.compare)
app.command()(train.recipes)
app.command()(train.train)
app.command()(report.report)
app.command()(ledger.ledger)

_data = typer.Typer(no_args_is_help=True, help="Fetch data sets, and see which are here.")
_data.command()(data.fetch)
_data.command("import")(data.import_)
_data.command()(data.info)
app.add_typer(_data, name="data")
