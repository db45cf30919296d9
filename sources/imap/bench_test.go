package imap

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"socialhub-sync/sources"
)

// manyMails are n mails of about 2 kB, every tenth an answer with a quote, every hundredth with a file of 100 kB.
func manyMails(n int) []string {
	mails := make([]string, n)
	file := strings.Repeat("JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0ZURl\n", 1300)
	for i := range mails {
		reply := ""
		if i%10 == 1 {
			reply = fmt.Sprintf("References: <%d@example.org>\n", i-1)
		}
		text := strings.Repeat("Where is my order? I have waited for it for a while.\n", 12)
		mails[i] = fmt.Sprintf("Message-ID: <%d@example.org>\n%sFrom: Person %d <p%d@example.org>\nDate: Mon, 05 Jan 2026 10:00:00 +0100\nSubject: Order %d\n"+
			"MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\n%s\n> %s\n--b\nContent-Type: text/html; charset=utf-8\n\n<p>%s</p>\n--b--\n",
			i, reply, i%1000, i%1000, i, text, text, text)
		if i%100 == 0 {
			mails[i] = fmt.Sprintf("Message-ID: <%d@example.org>\nFrom: a@example.org\nDate: Mon, 05 Jan 2026 10:00:00 +0100\nMIME-Version: 1.0\n"+
				"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n%s\n--b\nContent-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\n%s\n--b--\n", i, text, file)
		}
	}
	return mails
}

// BenchmarkPull reads a mailbox that the server knows already (its index and cache are warm) as a first poll does.
func BenchmarkPull(b *testing.B) {
	const mails = 5000
	a := newAccount(b)
	a.fill(b, func(int) time.Time { return came }, manyMails(mails)...)
	s := open(b, a.settings(""))
	mustPull(b, s, sources.Request{})
	b.ReportAllocs()
	for b.Loop() {
		if ids, _ := mustPull(b, s, sources.Request{}); len(ids) != mails {
			b.Fatalf("%d items", len(ids))
		}
	}
	b.ReportMetric(float64(mails)*float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}

// TestMemoryDoesNotGrowWithTheMailbox wants the most memory in use while 3,000 mails are read to be hardly more than for
// the first 1,000 of them. What their texts alone take is 1.3 MB for 1,000.
func TestMemoryDoesNotGrowWithTheMailbox(t *testing.T) {
	mails := manyMails(3000)
	a := newAccount(t)
	a.fill(t, func(int) time.Time { return came }, mails[:1000]...)
	few := peakMemory(t, a, 1000)
	a.fill(t, func(int) time.Time { return came }, mails[1000:]...)
	many := peakMemory(t, a, 3000)
	t.Logf("peak of live memory: %d kB for 1,000 mails, %d kB for 3,000", few>>10, many>>10)
	if many > few+1<<20 {
		t.Errorf("%d bytes for 1,000 mails, %d for 3,000", few, many)
	}
}

// peakMemory is the most memory that is alive after a batch.
func peakMemory(t *testing.T, a *account, mails int) (peak int64) {
	t.Helper()
	s := open(t, a.settings(""))
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtime.GC()
	metrics.Read(live)
	before := int64(live[0].Value.Uint64())
	read := 0
	for batch, err := range s.Pull(t.Context(), sources.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		read += len(batch.Items)
		runtime.GC()
		metrics.Read(live)
		peak = max(peak, int64(live[0].Value.Uint64())-before)
	}
	if read != mails {
		t.Fatalf("%d of %d mails", read, mails)
	}
	return peak
}
