"""How Sphinx makes the site out of these pages: ``make site``. Nothing in it is fetched."""

project = "rockpress"
author = "the rockpress contributors"
extensions = ["myst_parser"]
# what GitHub makes of a heading too, so that a link to one works in both
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = "rockpress"
html_copy_source = False
html_show_sphinx = False
html_use_index = False
