package demo

import (
	"bytes"
	"context"
	"flag"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"socialhub-sync/web/browsertest"
)

var photo = flag.Bool("photo", false, "take the pictures of the README anew")

// pictures is where the pictures of the README are.
const pictures = "../../docs/images"

// shown is what the README shows: the inbox with a changed review and an answer of the team, in windows of this size.
var shown = []browsertest.Look{
	{Name: "inbox-light", Width: 900, Height: 662, Scheme: "light"}, {Name: "inbox-dark", Width: 900, Height: 662, Scheme: "dark"},
}

// go test ./app/demo -run Pictures -photo takes them of a demo that runs.
func TestTheReadmeShowsPicturesOfTheDemo(t *testing.T) {
	t.Parallel()
	if *photo {
		takePictures(t)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, l := range shown {
		name := l.Name + ".png"
		content, err := os.ReadFile(filepath.Join(pictures, name))
		if err != nil {
			t.Fatal(err)
		}
		size += len(content)
		if c, err := png.DecodeConfig(bytes.NewReader(content)); err != nil || int64(c.Width) != l.Width || int64(c.Height) != l.Height {
			t.Errorf("%s: %d × %d (%v), want %d × %d", name, c.Width, c.Height, err, l.Width, l.Height)
		}
		if !strings.Contains(string(readme), `"docs/images/`+name+`"`) {
			t.Errorf("README.md does not show %s", name)
		}
	}
	if size > 200_000 {
		t.Errorf("the pictures have %d bytes, more than a clone should carry", size)
	}
}

func takePictures(t *testing.T) {
	t.Helper()
	d := open(t)
	start(t, d, "127.0.0.1:0")
	for _, happens := range []func(context.Context) (string, error){d.arrival, d.done, d.change, d.Answer} {
		see, err := happens(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Log(see)
	}
	ctx := browsertest.New(t)
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, l := range shown {
		l.Set(ctx, t)
		browse(ctx, t, chromedp.Navigate(d.Inbox), chromedp.WaitVisible(chromedp.CSS("main")), wait(`document.querySelector(".deed[data-state=confirmed]")`))
		if err := os.WriteFile(filepath.Join(pictures, l.Name+".png"), see(ctx, t, chromedp.CaptureScreenshot()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
