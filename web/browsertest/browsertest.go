// Package browsertest looks at pages in a real browser. It is for tests.
package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// browserTime is how long one thing may take in the browser.
const browserTime = 2 * time.Minute

// New starts a browser without a window. It ends with the test.
func New(t *testing.T) context.Context {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		t.Fatal("the program chromium is missing; scripts/test installs it (apt-get install chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-dev-shm-usage", true), // containers have little of it
	)
	if os.Geteuid() == 0 || os.Getenv("CI") != "" {
		options = append(options, chromedp.NoSandbox) // it can't make its own there; it sees nothing but our page
	}
	// The test's own context ends before its cleanups, and the browser with it.
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		closing, done := context.WithTimeout(ctx, browserTime)
		defer done()
		if err := chromedp.Cancel(closing); err != nil {
			t.Error("close the browser: ", err)
		}
		cancel()
		cancelAllocator()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal("start the browser: ", err)
	}
	return ctx
}

// Do does something in the browser of [New].
func Do(ctx context.Context, t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	See(ctx, t, chromedp.Steps(actions...))
}

// See does something in the browser of [New] that has a result.
func See[T any](ctx context.Context, t *testing.T, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, browserTime)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Look is how a page is seen: in a window of so many pixels, with a color scheme, light or dark.
type Look struct {
	Name          string
	Width, Height int64
	Scheme        string
}

var looks = []Look{
	{"desktop-light", 1280, 900, "light"}, {"desktop-dark", 1280, 900, "dark"},
	{"phone-light", 390, 844, "light"}, {"phone-dark", 390, 844, "dark"},
}

// Set makes the browser show pages with this look.
func (l Look) Set(ctx context.Context, t *testing.T) {
	t.Helper()
	var options []chromedp.EmulateViewportOption
	if l.Width < 600 {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	Do(ctx, t, chromedp.EmulateViewport(l.Width, l.Height, options...), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.Scheme}},
		})
		return err
	}))
}

// unfit is a script that names what is wider than the window or its section, and what can be typed in or pressed without having a name.
const unfit = `(() => {
	const bad = [];
	if (document.documentElement.scrollWidth > innerWidth) bad.push("the page is wider than the window");
	for (const e of document.querySelectorAll("section")) {
		if (e.scrollWidth > e.clientWidth + 1) bad.push("scrolls sideways: " + (e.id || e.textContent.trim().slice(0, 20)));
	}
	for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), textarea, select")) {
		const r = e.getBoundingClientRect();
		if (r.width && r.right > innerWidth + 1 && !e.closest(".channels")) bad.push("beyond the window: " + e.outerHTML.slice(0, 80));
		if (!e.textContent.trim() && !(e.labels && e.labels.length) && !e.ariaLabel) bad.push("no name: " + e.outerHTML.slice(0, 80));
	}
	return bad.join("; ");
})()`

// Photograph looks at an address on a desktop and a phone, light and dark, keeps a picture of each in the test's artifacts
// (go test -artifacts) and tells what does not fit.
func Photograph(ctx context.Context, t *testing.T, address, name string) {
	t.Helper()
	for _, l := range looks {
		l.Set(ctx, t)
		Do(ctx, t, chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("main")))
		if problem := See(ctx, t, chromedp.Evaluate[string](unfit)); problem != "" {
			t.Errorf("%s, %s: %s", name, l.Name, problem)
		}
		picture := See(ctx, t, chromedp.FullScreenshot(100))
		if err := os.WriteFile(filepath.Join(t.ArtifactDir(), fmt.Sprintf("%s-%s.png", name, l.Name)), picture, 0o600); err != nil {
			t.Error(err)
		}
	}
}
