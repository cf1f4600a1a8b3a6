"""What every outcome, detail and deviation means, which standard says so, and what to do about it.

One table, in files by subject. `docs/records.md` shows it (`tests/make_explanations.py` writes it there), and
`sbc-filter explain` prints it. Texts are Markdown: names in backquotes, links to other pages of `docs/`.
"""
