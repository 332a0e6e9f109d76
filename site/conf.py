"""How the pages look as a site: `make site` (tools/build_site.py) builds it.

The pages are shown as they were executed: nothing runs here. Nothing is fetched when
it is built, and nothing when it is read.
"""

from netlab import __version__

project = "netlab"
author = copyright = "The netlab authors"
release = __version__

extensions = ["myst_nb", "sphinx_copybutton"]
exclude_patterns = ["_build", "README.md", "CHANGELOG.md"]
nitpicky = True

nb_execution_mode = "off"
nb_render_markdown_format = "gfm"
nb_ipywidgets_js = {}  # no page shows a widget, and these come from elsewhere
nb_merge_streams = True
myst_enable_extensions = []
myst_heading_anchors = 3
# A program that a page prints is text or Python; lexers guess wrong and warn.
highlight_language = "none"

html_theme = "furo"
html_title = "netlab"
html_static_path = ["_static"]
html_favicon = "_static/icon.svg"
html_css_files = ["netlab.css"]
html_show_sphinx = False
html_copy_source = False
pygments_dark_style = "a11y-high-contrast-dark"  # furo's own underlines names
html_theme_options = {"navigation_with_keys": True}
copybutton_exclude = ".linenos, .gp, .go"
