package mail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// came is when mails came.
var came = time.Date(2026, 1, 6, 8, 0, 0, 0, time.UTC)

func equal(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got): %s", what, diff)
	}
}

func TestSendersAreFoundInFieldsOfAllKinds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ field, name, address string }{
		{`Anna Muster <Anna@Example.org>`, "Anna Muster", "anna@example.org"},
		{`"Muster, Anna \"A\"" <anna@example.org>`, `Muster, Anna "A`, "anna@example.org"},
		{`Muster, Anna <anna@example.org>, Ben <ben@example.org>`, "Muster, Anna", "anna@example.org"},
		{`anna@example.org (Anna (the first) Muster)`, "Anna the first Muster", "anna@example.org"},
		{`anna@example.org, ben@example.org`, "", "anna@example.org"},
		{`=?utf-8?q?J=C3=B6rg?= <j@example.org>`, "Jörg", "j@example.org"},
		{`"=?utf-8?b?SsO2cmc=?=" <j@example.org>`, "Jörg", "j@example.org"},
		{`Team: Anna <anna@example.org>, Ben <ben@example.org>;`, "Anna", "anna@example.org"},
		{`undisclosed-recipients:;`, "", ""},
		{`<>`, "", ""},
		{`anna`, "", ""},
		{`"never closed <anna@example.org>`, "", "anna@example.org"},
		{`"anna@example.org" <other@example.org>`, "anna@example.org", "other@example.org"},
		{"\u202Egro.elpmaxe@anna <evil@example.org>", "gro.elpmaxe@anna", "evil@example.org"},
	} {
		name, address := sender(test.field)
		equal(t, test.field, test.name+"|"+test.address, name+"|"+address)
	}
}

func TestAMailWithoutMessageIDKeepsItsIDOnAnotherServer(t *testing.T) {
	t.Parallel()
	id := func(header string, came time.Time) string { return New([]byte(header), &Part{}).Key(came) }
	const header = "Date: Mon, 05 Jan 2026 10:00:00 +0100\nFrom: Anna <anna@example.org>\nSubject: Order\n"
	equal(t, "id", id(header, came), id(header, came.Add(time.Hour)))
	for _, other := range []string{
		strings.Replace(header, "10:00", "10:01", 1), strings.Replace(header, "Anna", "Ben", 1), strings.Replace(header, "Order", "Other", 1),
	} {
		if id(header, came) == id(other, came) {
			t.Errorf("%q has the same id", other)
		}
	}
	if id("Subject: x\n", came) == id("Subject: x\n", came.Add(time.Second)) {
		t.Error("mails without a date are told by when they came")
	}
}

func TestAnAttachedFileKeepsItsName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ disposition, want string }{
		{`attachment; filename=a.pdf`, "a.pdf"},
		{`attachment; filename="a;b \"c\".pdf"`, `a;b "c".pdf`},
		{`attachment; filename*=utf-8'de'Pr%C3%BCfung.pdf`, "Prüfung.pdf"},
		{`attachment; filename*0="long "; filename*1="name.pdf"`, "long name.pdf"},
		{`attachment; filename*0*=iso-8859-1''Pr%FC; filename*1*=f%20; filename*2=ung.pdf`, "Prüf ung.pdf"},
		{`attachment; filename="=?utf-8?q?Pr=C3=BCfung=2Epdf?="`, "Prüfung.pdf"},
		{`attachment; filename="C:\\Users\\anna\\a.pdf"`, "a.pdf"},
		{`attachment; filename="../../etc/passwd"`, "passwd"},
		{"attachment; filename=\"a\r\n\tb.pdf\"", "a b.pdf"},
		{`attachment; filename=`, "application/pdf"},
	} {
		raw := "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/pdf\nContent-Disposition: " + test.disposition + "\n\nx\n--b--\n"
		_, root := parseMail([]byte(raw))
		found := survey(root).files
		if len(found) != 1 {
			t.Errorf("%s: %d attachments", test.disposition, len(found))
			continue
		}
		equal(t, test.disposition, test.want, found[0].name)
	}
}

func TestATextThatIsCutSaysSo(t *testing.T) {
	t.Parallel()
	p := &Part{Kind: "text/plain", Params: map[string]string{"charset": "utf-8"}}
	read := func(body string) string {
		p.Body = []byte(body)
		return reading{limit: 1 << 10}.part(p)
	}
	text := read(("x" + strings.Repeat("ü", 600))[:1<<10])
	if !strings.HasSuffix(text, "üü…") || strings.ContainsRune(text, utf8.RuneError) {
		t.Errorf("%q", text[len(text)-20:])
	}
	equal(t, "a text with zero bytes", "ab", read("a\x00b\x00"))
}

// FuzzMail reads any bytes as a mail. Whatever they are, what comes out must be fit to show.
func FuzzMail(f *testing.F) {
	files, err := filepath.Glob("../testdata/*/*.eml")
	if err != nil || len(files) == 0 {
		f.Fatal("no mails", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(raw) < 8<<10 { // large ones make slow mutations
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, keep := range []bool{false, true} {
			o := Options{MaxBody: 64 << 10, MaxLength: 10_000, KeepQuotes: keep}
			m := Parse(raw, o)
			key := m.Key(came)
			if !socialhub.ValidItemID(sources.ItemID("mail", key)) || m.Root == key || m.Root != "" && !socialhub.ValidItemID(sources.ItemID("mail", m.Root)) {
				t.Errorf("key %q, root %q", key, m.Root)
			}
			shown := []string{m.Text, m.Subject, m.Name, m.Address}
			for _, f := range m.Files {
				if shown = append(shown, f.Name); f.Name == "" || f.Size < 0 {
					t.Errorf("file %+v", f)
				}
			}
			for i, s := range shown {
				if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && (i > 0 || r != '\n' && r != '\t') }) {
					t.Errorf("%q is not fit to show", s)
				}
			}
			if socialhub.MessageLength(m.Text) > o.MaxLength || len(m.Subject) > maxSubject || m.Address != "" && len(m.Address) < socialhub.MinInteractorID {
				t.Errorf("%+v", m)
			}
			if len(m.Wanted()) > 0 {
				t.Error("a text is left unread")
			}
		}
	})
}
