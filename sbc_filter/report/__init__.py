"""The report of a replay as one HTML file: `sbc-filter replay --html`.

Pure: it takes lines, details and totals, and returns text. The page has no link to anything outside, runs only its own
script, and shows bytes of messages as text. `page.page` makes it; `page/` has the template, the style and the script.

    contents    what a report is made of
    figures     counts and the calls over time                charts      their geometry
    selection   which calls are shown in full                 changes     two messages, line by line
    octets      bytes as text that is harmless to show        interned    each text once
    columns     the table of calls, column by column          details     the calls that are shown in full
"""
