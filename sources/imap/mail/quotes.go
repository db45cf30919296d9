package mail

import (
	"regexp"
	"strings"
)

// maxSignature is the most lines of a signature below a quote.
const maxSignature = 15

// cutHistory leaves out the history that a mail program put under a reply: what stands below a line such as
// "-----Original Message-----" or a block of "From:", "Sent:", "Subject:", and the last block of "> " lines with its "On …
// wrote:". A quote that own words follow stays, since it is what they answer. In a mail that is no reply only
// a quote with its "On … wrote:" is history. What would leave nothing stays as it is.
func cutHistory(s string, reply bool) string {
	lines := strings.Split(s, "\n")
	body, signature := splitSignature(lines)
	kept := body
	if at := separator(body); reply && at >= 0 {
		kept, signature = body[:at], nil
	}
	kept = cutQuote(kept, reply)
	if len(kept) == len(body) {
		return s
	}
	own := strings.TrimSpace(strings.Join(kept, "\n"))
	if own == "" {
		return s
	}
	if len(signature) > 0 {
		own += "\n\n" + strings.Join(signature, "\n")
	}
	return own
}

// splitSignature parts off a signature at the end.
func splitSignature(lines []string) (body, signature []string) {
	for i := len(lines) - 1; i >= 0 && i >= len(lines)-1-maxSignature; i-- {
		switch l := lines[i]; {
		case isQuote(l):
			return lines, nil
		case l == "--" || l == "-- ":
			return lines[:i], lines[i:]
		}
	}
	return lines, nil
}

func isQuote(l string) bool { return strings.HasPrefix(l, ">") }

var (
	original = regexp.MustCompile(`(?i)^\s*-{2,}\s*(original message|original appointment|originalnachricht|original-nachricht|ursprüngliche nachricht|` +
		`message d['’]origine|message original|mensaje original|mensagem original|messaggio originale|oorspronkelijk bericht|oprindelig meddelelse|ursprungligt meddelande)\s*-{2,}\s*$`)
	forwarded = regexp.MustCompile(`(?i)(forwarded message|weitergeleitete nachricht|message transféré|message transmis|mensaje reenviado|mensagem encaminhada|messaggio inoltrato|doorgestuurd bericht)`)

	headerFrom    = regexp.MustCompile(`(?i)^\*?(from|von|de|da|van|från|fra)\*?\s?:\*?\s*\S`)
	headerDate    = regexp.MustCompile(`(?i)^\*?(sent|date|gesendet|datum|envoyé|fecha|enviado|enviada|data|inviato|verzonden|skickat)\*?\s?:\*?\s*\S`)
	headerSubject = regexp.MustCompile(`(?i)^\*?(subject|betreff|objet|asunto|assunto|oggetto|onderwerp|ämne|emne)\*?\s?:`)

	// wrote is "On … wrote:" in some languages, as a whole line.
	wrote = regexp.MustCompile(`(?i)^(on\b.*\bwrote|am\b.*\bschrieb\b.*|le\b.*\ba écrit|el\b.*\bescribió|em\b.*\bescreveu|il\b.*\bha scritto|op\b.*\bschreef\b.*|den\b.*\bskrev\b.*)\s?:$`)
	// dated tells that a line is about a mail: it has an address or a number.
	dated = regexp.MustCompile(`@|\d`)
)

// separator is the line below which all is history, -1 if there is none.
func separator(lines []string) int {
	quotes := false
	for i, l := range lines {
		quotes = quotes || isQuote(l)
		switch {
		case forwarded.MatchString(l) && !isQuote(l):
			return -1 // what follows is what the mail is about
		case original.MatchString(l):
			return i
		case headerBlock(lines[i:]):
			if i > 0 && strings.Trim(lines[i-1], "_-") == "" { // Outlook's rule above it
				i--
			}
			return i
		}
	}
	if quotes {
		return -1
	}
	for i := range lines {
		if n := attribution(lines[:i+1]); n > 0 && wrote.MatchString(strings.Join(lines[i+1-n:i+1], " ")) {
			return i + 1 - n
		}
	}
	return -1
}

// headerBlock tells whether the lines begin with a mail's header: who, when and what about.
func headerBlock(lines []string) bool {
	if !headerFrom.MatchString(lines[0]) && !headerDate.MatchString(lines[0]) {
		return false
	}
	from, date, subject := false, false, false
	for _, l := range lines[:min(len(lines), 8)] {
		if strings.TrimSpace(l) == "" {
			break
		}
		from = from || headerFrom.MatchString(l)
		date = date || headerDate.MatchString(l)
		subject = subject || headerSubject.MatchString(l)
	}
	return from && date && subject
}

// maxAttribution is the most lines of an "On … wrote:" that was wrapped.
const maxAttribution = 4

// attribution is how many lines at the end are an "On … wrote:", in whatever language: they end with a colon and
// have an address or a number in them. 0: none.
func attribution(lines []string) int {
	last := strings.TrimSpace(lines[len(lines)-1])
	if !strings.HasSuffix(last, ":") || isQuote(last) {
		return 0
	}
	n := 1
	joined := last
	for ; n < len(lines) && n < maxAttribution; n++ {
		above := strings.TrimSpace(lines[len(lines)-1-n])
		if wrote.MatchString(joined) || above == "" || isQuote(above) || strings.HasSuffix(above, ".") {
			break
		}
		joined = above + " " + joined
	}
	if !wrote.MatchString(joined) {
		if n = 1; !dated.MatchString(last) {
			return 0
		}
		return 1
	}
	if !dated.MatchString(joined) {
		return 0
	}
	return n
}

// cutQuote cuts the block of quoted lines at the end, and its attribution.
func cutQuote(lines []string, reply bool) []string {
	end := withoutEmpty(lines)
	start := end
	for start > 0 && (isQuote(lines[start-1]) || strings.TrimSpace(lines[start-1]) == "") {
		start--
	}
	above := withoutEmpty(lines[:start])
	if start == end || withoutEmpty(lines[start:end]) == 0 {
		return lines
	}
	n := 0
	if above > 0 {
		n = attribution(lines[:above])
	}
	first := ""
	for _, l := range lines[start:end] { // Apple Mail quotes the attribution too
		if first = strings.TrimSpace(strings.TrimLeft(l, "> ")); first != "" {
			break
		}
	}
	switch {
	case n > 0, wrote.MatchString(first):
	case !reply, above > 0 && strings.HasSuffix(strings.TrimSpace(lines[above-1]), ":"):
		return lines // "The error is:" and a quote is no history
	}
	return lines[:above-n]
}

// withoutEmpty is how many lines there are without the empty ones at the end.
func withoutEmpty(lines []string) int {
	n := len(lines)
	for n > 0 && strings.TrimSpace(lines[n-1]) == "" {
		n--
	}
	return n
}
