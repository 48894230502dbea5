"""Sphinx extension: links to the repository, and buttons for Colab and Binder, from the one address in _config.yml.

Where `repository.url` is empty there are none: the theme takes an empty address for a wrong one.
"""

from sphinx.application import Sphinx
from sphinx.config import Config

BUTTONS = {
    "use_repository_button": True,
    "use_issues_button": True,
    "use_source_button": False,
    "launch_buttons": {
        "notebook_interface": "jupyterlab",
        "colab_url": "https://colab.research.google.com",
        "binderhub_url": "https://mybinder.org",
    },
}


def add_buttons(app: Sphinx, config: Config) -> None:
    """Switch the theme's buttons on where there is an address to lead to."""
    options = config.html_theme_options
    if options.get("repository_url"):
        options.update(BUTTONS)


def setup(app: Sphinx) -> dict:
    app.connect("config-inited", add_buttons, priority=100)  # before the theme reads its options
    return {"parallel_read_safe": True, "parallel_write_safe": True}
