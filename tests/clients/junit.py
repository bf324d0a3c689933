"""Holds JUnit XML against the schema that Jenkins reads it by: junit.py FILE...

Prints what is wrong first, a line each.
"""

import pathlib
import sys

from lxml import etree

schema = etree.XMLSchema(etree.parse(pathlib.Path(__file__).with_name("junit-10.xsd")))
for path in sys.argv[1:]:
    schema.validate(etree.parse(path))
    for error in schema.error_log[:10]:
        print(f"{path}:{error.line}: {error.message}")
