#!/bin/sh
# Reads letters from a folder for the adapter `exec`. POSIX shell and awk, nothing else.
#
# Each letter is a file such as 20260131-120000-17.txt: the sender's address in the first line, then the text. The
# names grow with time, so the name of the last letter that was read is the cursor.
#
# usage: letters.sh FOLDER
set -eu

# The request is one line of JSON. Our cursors have no quotes in them, so sed can find it.
read -r request
cursor=$(printf '%s' "$request" | sed -n 's/.*"cursor":"\([^"\\]*\)".*/\1/p')

cd "$1" || {
	echo "make the folder $1" # standard error goes to the log, its last line into the error
	exit 78                   # EX_CONFIG: stop until a person has mended it
} >&2

# Only the letters after the cursor, in the order of their names. Other names could break the JSON below.
ls | LC_ALL=C sort | LC_ALL=C awk -v cursor="$cursor" '/^[0-9A-Za-z._-]+\.txt$/ && $0 "" > cursor ""' | while read -r letter; do
	LC_ALL=C awk -v id="letter-${letter%.txt}" '
		function escape(text) {
			gsub(/\\/, "\\\\", text)
			gsub(/"/, "\\\"", text)
			gsub(/\t/, "\\t", text)
			gsub(/[\001-\037\177]/, "", text)
			return text
		}
		NR == 1 { sender = escape($0); next }
		{ text = text (NR > 2 ? "\\n" : "") escape($0) }
		END {
			printf "{\"interaction\":{\"networkItemId\":\"%s\",\"message\":\"%s\",", escape(id), text
			printf "\"interactor\":{\"interactorId\":\"%s\",\"name\":\"%s\"}}}\n", sender, sender
		}
	' "./$letter"
	printf '{"cursor":"%s"}\n' "$letter"
done
