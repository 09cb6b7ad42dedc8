"""A preprocessor of mdBook: what a page links to outside of docs/ is shown where the repository is shown.

On the pages themselves such links are paths, for who reads them in a checkout; in the book there is nothing under them.
"""

import json
import posixpath
import re
import sys

if len(sys.argv) > 1 and sys.argv[1] == "supports":
    sys.exit(0)
context, book = json.load(sys.stdin)
repository = context["config"]["output"]["html"]["git-repository-url"]


def outside(folder):
    """Replaces a link's target, seen from a page in this folder of docs/."""

    def replace(found):
        target = found[1]
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        path = posixpath.normpath(posixpath.join("docs", folder, target))
        if path.startswith("docs/"):
            # The book calls the page of a folder by another name.
            return re.sub(r"README\.md(?=[)#])", "index.md", found[0])
        return f"]({repository}/blob/main/{path})"

    return replace


def walk(items):
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter and chapter["path"]:
            folder = posixpath.dirname(chapter["path"])
            chapter["content"] = re.sub(r"\]\(([^)\s]+)\)", outside(folder), chapter["content"])
            walk(chapter["sub_items"])


walk(book.get("items") or book["sections"])
json.dump(book, sys.stdout)
