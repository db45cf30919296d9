package mail

import (
	"bytes"
	"strings"
)

// parseMail reads a mail, or as much as there is of one, without the server's help.
func parseMail(raw []byte) (fields, *Part) {
	header, body := splitHeader(raw)
	return header, parsePart(header, body, 0)
}

func parsePart(header fields, body []byte, depth int) *Part {
	p := &Part{Kind: "text/plain", Encoding: header["content-transfer-encoding"], ContentID: header["content-id"], Size: int64(len(body)), Body: body}
	if kind, params := parseValue(header["content-type"]); strings.Contains(kind, "/") {
		p.Kind, p.Params = kind, params
	}
	p.Disposition, p.Named = parseValue(header["content-disposition"])
	if depth >= maxDepth {
		return p
	}
	switch {
	case strings.HasPrefix(p.Kind, "multipart/"):
		for _, piece := range splitMultipart(body, p.Params["boundary"]) {
			header, body := splitHeader(piece)
			p.Children = append(p.Children, parsePart(header, body, depth+1))
		}
		p.Body = nil
	case p.Kind == "message/rfc822":
		header, body := splitHeader(decodeTransfer(body, p.Encoding))
		p.Inner, p.Subject = parsePart(header, body, depth+1), header["subject"]
		p.Body = nil
	}
	return p
}

// maxPieces bounds the parts of one multipart.
const maxPieces = 200

// splitMultipart parts a multipart's body at the lines of its boundary. The last part may lack its end.
func splitMultipart(body []byte, boundary string) (pieces [][]byte) {
	if boundary == "" {
		return nil
	}
	mark := []byte("--" + boundary)
	start, at := -1, 0
	for line := range bytes.Lines(body) {
		rest, isMark := bytes.CutPrefix(bytes.TrimRight(line, " \t\r\n"), mark)
		if isMark && (len(rest) == 0 || string(rest) == "--") {
			if start >= 0 {
				piece := body[start:at]
				piece, _ = bytes.CutSuffix(piece, []byte("\n")) // RFC 2046: this line end is the boundary's
				piece, _ = bytes.CutSuffix(piece, []byte("\r"))
				pieces = append(pieces, piece)
			}
			if start = at + len(line); len(rest) > 0 || len(pieces) == maxPieces {
				return pieces
			}
		}
		at += len(line)
	}
	if start >= 0 {
		pieces = append(pieces, body[min(start, len(body)):])
	}
	return pieces
}

// parseValue reads a field such as `text/plain; charset="utf-8"` as far as it can be read. Of parameters with one
// name the first counts.
func parseValue(field string) (value string, params map[string]string) {
	value, field = cutUnquoted(field)
	value = strings.ToLower(strings.TrimSpace(value))
	params = make(map[string]string)
	for field != "" {
		var one string
		one, field = cutUnquoted(field)
		key, value, found := strings.Cut(one, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if _, known := params[key]; found && !known {
			params[key] = unquote(strings.TrimSpace(value))
		}
	}
	return value, params
}

// cutUnquoted cuts at the first semicolon that is not in quotes.
func cutUnquoted(s string) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func unquote(s string) string {
	inside, quoted := strings.CutPrefix(s, `"`)
	if !quoted {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(inside) && inside[i] != '"'; i++ {
		if inside[i] == '\\' && i+1 < len(inside) {
			i++
		}
		b.WriteByte(inside[i])
	}
	return b.String()
}
