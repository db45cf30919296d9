package sources

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestTextIsReadable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, html, want string }{
		{"plain text stays", "Hello, world", "Hello, world"},
		{"white space is collapsed", "  a \n\t b&nbsp;&nbsp;c  ", "a b c"},
		{"entities are decoded", "Fish &amp; chips &lt;3 &#8364;5 &uuml;", "Fish & chips <3 €5 ü"},
		{"paragraphs are parted by an empty line", "<p>One</p><p>Two</p>", "One\n\nTwo"},
		{"an unclosed paragraph ends where the next begins", "<p>One<p>Two", "One\n\nTwo"},
		{"an empty paragraph adds nothing", "<p>One</p><p>&nbsp;</p><p></p><p>Two</p>", "One\n\nTwo"},
		{"a line break is a line end", "One<br>Two<br/>Three", "One\nTwo\nThree"},
		{"two line breaks are an empty line", "One<br><br>Two<br><br><br><br>Three", "One\n\nTwo\n\nThree"},
		{"a div begins a line", "<div>One</div><div>Two</div>Three", "One\nTwo\nThree"},
		{"headings are paragraphs", "<h1>Title</h1>Text", "Title\n\nText"},
		{"inline markup leaves words whole", "un<b>believ</b>able <i>thing</i>", "unbelievable thing"},
		{"a list has dashes", "<p>Pros:</p><ul><li>fast</li><li>small</li></ul><p>End</p>", "Pros:\n\n- fast\n- small\n\nEnd"},
		{"a numbered list has numbers", "<ol><li>first<li>second</ol>", "1. first\n2. second"},
		{"lists nest", "<ul><li>a<ul><li>b</li><li>c</li></ul></li><li>d</li></ul>", "- a\n  - b\n  - c\n- d"},
		{"paragraphs in items keep to their item", "<ul><li><p>a</p><p>b</p></li><li><p>c</p></li></ul>", "- a\n  b\n- c"},
		{"an empty item is left out", "<ul><li></li><li>a</li></ul>", "- a"},
		{"a quote has marks", "<blockquote><p>a</p><p>b<br>c</p></blockquote><p>d</p>", "> a\n>\n> b\n> c\n\nd"},
		{"quotes nest", "a<blockquote>b<blockquote>c</blockquote>d</blockquote>", "a\n\n> b\n>\n> > c\n>\n> d"},
		{"preformatted text keeps its spaces", "<p>a</p><pre>\n  x\n\n\n    y  z\n</pre>b", "a\n\n  x\n\n\n    y  z\n\nb"},
		{"a link shows its address", `See <a href="https://example.com/a?b=1&amp;c=2">our page</a>.`, "See our page (https://example.com/a?b=1&c=2)."},
		{"a link that is its address is shown once", `<a href="https://www.example.com/">example.com</a>`, "example.com"},
		{"a link in hidden parts is shown once", `<a href="https://example.com/long"><span class="invisible">https://</span><span>example.com/lo</span><span>ng</span></a>`, "https://example.com/long"},
		{"a link without text is left out", `a<a href="https://example.com"><img src="x.png"></a>b`, "ab"},
		{"a link inside the page has no address", `<a href="#top">up</a> <a href="/x">there</a> <a href="javascript:alert(1)">bad</a>`, "up there bad"},
		{"a mail link shows the address", `<a href="mailto:a@example.com?subject=x">write</a> or <a href="mailto:a@example.com">a@example.com</a>`, "write (a@example.com) or a@example.com"},
		{"a link without scheme is https", `<a href="//example.com/x">x</a>`, "x (https://example.com/x)"},
		{"mentions and hashtags need no address", `<a class="u-url mention" href="https://m.example/@jo">@<span>jo</span></a> <a class="hashtag" href="https://m.example/t">#t</a>`, "@jo #t"},
		{"an unclosed link still shows its address", `<a href="https://example.com/1">one <a href="https://example.com/2">two`, "one (https://example.com/1) two (https://example.com/2)"},
		{"what comes after a link is parted by the same space", `<p><a href="https://example.com">a </a>b</p>`, "a (https://example.com) b"},
		{"scripts and styles are dropped", "a<script>if (a < b) alert('</p>')</script><style>p{}</style><title>t</title>b", "ab"},
		{"drawings and forms are dropped", "a<svg><title>x</title><text>y</text></svg><select><option>z</select>b<svg/>c", "abc"},
		{"comments are dropped", "a<!-- b -->c", "ac"},
		{"an image that stands for a character is that", `Hi <img class="emoji" alt="😀" src="x.png"><img alt="photo" src="y.png">`, "Hi 😀"},
		{"a table has a line for each row", "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "a | b\n1 | 2"},
		{"a rule is a line", "a<hr>b", "a\n---\nb"},
		{"control characters and soft hyphens are dropped", "a\x00b\x07c\u00ADd", "abcd"},
		{"invalid UTF-8 is replaced", "a\xffb", "a\uFFFDb"},
		{"end tags without a start do nothing", "</li></ul></blockquote></pre></a>a</div>b", "a\nb"},
		{"a tag that is cut off is dropped", "a <b", "a"},
		{"a smaller-than is no tag", "1 < 2", "1 < 2"},
		{"nothing is nothing", " <p> </p> ", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, Text(c.html)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTextCopesWithAnyNesting would overflow the stack or run for hours if the work grew with the depth.
func TestTextCopesWithAnyNesting(t *testing.T) {
	t.Parallel()
	const depth = 100_000
	for _, tag := range []string{"div", "blockquote", "ul><li", "b", `a href="https://example.com"`, "pre", "table><tr><td", "svg"} {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			markup := strings.Repeat("<"+tag+">x", depth)
			if got := Text(markup); len(got) > 20*len(markup) {
				t.Errorf("%d bytes from %d", len(got), len(markup))
			}
		})
	}
}

func TestImagesAreThoseThatPeopleSee(t *testing.T) {
	t.Parallel()
	base, err := url.Parse("https://example.com/blog/post")
	if err != nil {
		t.Fatal(err)
	}
	const markup = `<img src="https://a.example/1.png"><IMG SRC="/2.png" alt=x><p><img src="3.png"/>
		<img src="https://a.example/1.png"><img src="//b.example/4.png"><img src="data:image/png;base64,AAAA"><img src="">
		<img src="/pixel.gif" width="1" height=1><img class="wp-smiley" src="/smile.png"><img src="ftp://example.com/x.png"><img>`
	want := []string{"https://a.example/1.png", "https://example.com/2.png", "https://example.com/blog/3.png", "https://b.example/4.png"}
	if diff := cmp.Diff(want, Images(markup, base, 10)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[:2], Images(markup, base, 2)); diff != "" {
		t.Errorf("limited: %s", diff)
	}
	if diff := cmp.Diff([]string{want[0], want[3]}, Images(markup, nil, 10)); diff != "" {
		t.Errorf("without base: %s", diff)
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{
		"<p>a<p>b", "<ul><li>a<ol><li>b</ul>", "<blockquote><pre>\n x", `<a href="https://e.com">e<td>x`, "</li><li>", "a\xff&nbsp;<br>",
		"<svg><svg></svg>x</svg>", "<plaintext>a<b>", "<title>x", "<img class=emoji alt=x>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, markup string) {
		text := Text(markup)
		if !utf8.ValidString(text) {
			t.Errorf("invalid UTF-8: %q", text)
		}
		if strings.ContainsAny(text, "\r\x00") || strings.HasSuffix(text, "\n") || strings.HasSuffix(text, " ") {
			t.Errorf("not tidy: %q", text)
		}
		Images(markup, nil, 10)
	})
}
