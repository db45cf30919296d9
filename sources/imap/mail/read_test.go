package mail

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

var whole = Options{MaxBody: 1 << 20, MaxLength: 10_000}

// alternative is a mail with these bodies, plain, HTML and calendar in this order.
func alternative(plain, markup string) []byte {
	return []byte("Subject: s\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n" + plain +
		"\n--b\nContent-Type: text/html\n\n" + markup + "\n--b--\n")
}

func TestABlankTextGivesWayToTheHTMLHoweverLongItIs(t *testing.T) {
	t.Parallel()
	equal(t, "text", "Hello", Parse(alternative(strings.Repeat(" \n", 500), "<p>Hello</p>"), whole).Text)
	equal(t, "text that is there", "Plain", Parse(alternative("Plain", "<p>Hello</p>"), whole).Text)
}

func TestOnlyTheBestVersionIsWantedUntilItProvesBlank(t *testing.T) {
	t.Parallel()
	plain := &Part{Kind: "text/plain"}
	markup := &Part{Kind: "text/html"}
	m := New(nil, &Part{Kind: "multipart/alternative", Children: []*Part{plain, markup}})
	equal(t, "wanted at first", []*Part{plain}, m.Wanted())
	plain.Body = []byte("\r\n\r\n")
	m.Read(whole)
	equal(t, "wanted when it is blank", []*Part{markup}, m.Wanted())
	markup.Body = []byte("<p>Hello</p>")
	m.Read(whole)
	equal(t, "wanted in the end", 0, len(m.Wanted()))
	equal(t, "text", "Hello", m.Text)
	if plain.Body != nil || markup.Body != nil {
		t.Error("bodies are kept")
	}
}

func TestATextThatIsCutLetsGoOfTheRest(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	kept, cut := Cut(long, 100)
	if !cut || len(kept) != 100 || unsafe.StringData(kept) == unsafe.StringData(long) {
		t.Errorf("kept %d bytes, cut: %v, of the same memory: %v", len(kept), cut, unsafe.StringData(kept) == unsafe.StringData(long))
	}
}

// TestHostileHeadersTakeNoTime has headers that take longer than tests may where time grows with the square of the size.
func TestHostileHeadersTakeNoTime(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	for what, header := range map[string]string{
		"lines that are folded": "Subject: x\n" + strings.Repeat(" y\n", size/3),
		"senders":               "From: " + strings.Repeat(",", size) + "\n",
		"encoded words":         "Subject: " + strings.Repeat("=?utf-8?q?x?= ", size/14) + "\n",
		"ids":                   "References: " + strings.Repeat("<>", size/2) + "\n",
		"fields":                strings.Repeat("a:\n", size/3),
		"many fields":           manyFields(size),
	} {
		m := Parse([]byte(header+"\nText"), whole)
		equal(t, "text below "+what, "Text", m.Text)
		if len(m.Subject) > maxSubject || len(m.standIn) > 4*maxField {
			t.Errorf("%s: a subject of %d bytes, %d to tell the mail by", what, len(m.Subject), len(m.standIn))
		}
	}
}

func manyFields(size int) string {
	var b strings.Builder
	for n := 0; b.Len() < size; n++ {
		fmt.Fprintf(&b, "a%d:\n", n)
	}
	return b.String()
}
