package demo

import (
	"cmp"
	"context"
	"errors"
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

// newBrowser starts a browser without a window. It ends with the test.
func newBrowser(t *testing.T) context.Context {
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

// browse does something in the browser.
func browse(ctx context.Context, t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	see(ctx, t, chromedp.Steps(actions...))
}

// see does something in the browser that has a result.
func see[T any](ctx context.Context, t *testing.T, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, browserTime)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// look is how the page is seen.
type look struct {
	name          string
	width, height int64
	scheme        string
}

var looks = []look{
	{"desktop-light", 1280, 900, "light"}, {"desktop-dark", 1280, 900, "dark"},
	{"phone-light", 390, 844, "light"}, {"phone-dark", 390, 844, "dark"},
}

func (l look) set(ctx context.Context, t *testing.T) {
	t.Helper()
	var options []chromedp.EmulateViewportOption
	if l.width < 600 {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	browse(ctx, t, chromedp.EmulateViewport(l.width, l.height, options...), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}},
		})
		return err
	}))
}

// unfit is a script that names what is wider than the window, and what can be typed in or pressed without having a name.
const unfit = `(() => {
	const bad = [];
	if (document.documentElement.scrollWidth > innerWidth) bad.push("the page is wider than the window");
	for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), textarea, select")) {
		const r = e.getBoundingClientRect();
		if (r.width && r.right > innerWidth + 1 && !e.closest(".channels")) bad.push("beyond the window: " + e.outerHTML.slice(0, 80));
		if (!e.textContent.trim() && !(e.labels && e.labels.length) && !e.ariaLabel) bad.push("no name: " + e.outerHTML.slice(0, 80));
	}
	return bad.join("; ");
})()`

// photograph looks at an address at every look, keeps a picture of each and tells what does not fit.
func photograph(ctx context.Context, t *testing.T, address, name string) {
	t.Helper()
	for _, l := range looks {
		l.set(ctx, t)
		browse(ctx, t, chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("main")))
		if problem := see(ctx, t, chromedp.Evaluate[string](unfit)); problem != "" {
			t.Errorf("%s, %s: %s", name, l.name, problem)
		}
		picture := see(ctx, t, chromedp.FullScreenshot(100))
		if err := os.WriteFile(filepath.Join(t.ArtifactDir(), fmt.Sprintf("%s-%s.png", name, l.name)), picture, 0o600); err != nil {
			t.Error(err)
		}
	}
}

// wait waits until a script is true, on whatever page the browser is by then.
func wait(script string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (none chromedp.Void, err error) {
		look, ended := chromedp.Evaluate[bool]("!!("+script+")"), time.After(time.Minute)
		for {
			// An error may be that of a page that is going.
			there, err := look(ctx, target)
			if there && err == nil {
				return none, nil
			}
			select {
			case <-ctx.Done():
				return none, ctx.Err()
			case <-ended:
				return none, fmt.Errorf("it never was so: %s (%w)", script, cmp.Or(err, errors.New("false to the end")))
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}
