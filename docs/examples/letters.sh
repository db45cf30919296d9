#!/bin/sh
# Reads letters from a folder for the adapter `exec`. POSIX shell and awk, nothing else.
#
# Each letter is a file such as 20260131-120000-17.txt: the sender's address in the first line, then the text. The
# names grow with time, so the name of the last letter that was read is the cursor. A reply becomes a file in the folder
# answers, where somebody prints it and leaves it.
#
# usage: letters.sh FOLDER
set -eu

# The request is one line of JSON. Our cursors have no quotes in them, so sed can find it; nor has what else is looked up so.
read -r request
cursor=$(printf '%s' "$request" | sed -n 's/.*"cursor":"\([^"\\]*\)".*/\1/p')

cd "$1" || {
	echo "make the folder $1" # standard error goes to the log, its last line into the error
	exit 78                   # EX_CONFIG: stop until a person has mended it
} >&2

field() { printf '%s' "$request" | sed -n 's/.*[{,]"'"$1"'":"\([0-9A-Za-z_.-]*\)".*/\1/p'; }

# A reply: the answer to the letter is its text, in a file named by the key of the action, so that it is there once however
# often this runs. Nobody sees it before it is whole.
case $request in
*'"action":{'*)
	key=$(field key) letter=$(field networkItemId)
	letter=${letter#letter-}.txt
	if [ "$(field type)" != reply ] || [ -z "$key" ]; then
		echo '{"refused":"Letters can only be answered."}'
	elif [ ! -f "$letter" ]; then
		echo '{"refused":"The letter is not there any more."}'
	elif printf '%s' "$request" | grep -q '[{,]"attachments":\['; then
		echo '{"refused":"Letters are answered without files."}'
	else
		mkdir -p answers
		{
			printf 'to: %s\n\n' "$(head -n 1 "./$letter")"
			printf '%s' "$request" | LC_ALL=C awk '{
				match($0, /[{,]"text":"([^"\\]|\\.)*"/)
				text = substr($0, RSTART + 9, RLENGTH - 10)
				while (match(text, /\\(u....|.)/)) {
					printf "%s", substr(text, 1, RSTART - 1)
					escape = substr(text, RSTART + 1, 1)
					printf "%s", escape == "n" ? "\n" : escape == "t" ? "\t" : escape ~ /[bfru]/ ? "" : escape
					text = substr(text, RSTART + RLENGTH)
				}
				print text
			}'
		} >"answers/.$key"
		mv "answers/.$key" "answers/$key.txt"
		printf '{"posted":{"networkItemId":"answer-%s"}}\n' "$key"
	fi
	exit 0
	;;
esac

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
