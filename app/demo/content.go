package demo

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"
	"time"
)

// data is the demo's content. Times in it are relative, so that it is always of these days.
//
//go:embed data
var data embed.FS

// content fills the templates of data.
type content struct{ *template.Template }

// newContent reads the templates; what is said to be so long ago is that before began.
func newContent(began time.Time) (content, error) {
	ago := func(format string) func(string) (string, error) {
		return func(before string) (string, error) {
			d, err := time.ParseDuration(before)
			return began.Add(-d).Format(format), err
		}
	}
	now := func(format string) func() string {
		return func() string { return time.Now().UTC().Format(format) }
	}
	began = began.UTC()
	t, err := template.New("").Funcs(template.FuncMap{
		"ago": ago(time.RFC3339), "now": now(time.RFC3339),
		"agoRSS": ago(time.RFC1123Z), "nowRSS": now(time.RFC1123Z),
		// A spreadsheet's idea of a time.
		"german": ago("02.01.2006 15:04"),
		"brews":  func(n int) string { return brews(n, began) },
		"quote":  quote,
	}).ParseFS(data, "data/*")
	return content{t}, err
}

// fill returns a file of data with everything filled in.
func (c content) fill(name string, values any) ([]byte, error) {
	var b bytes.Buffer
	err := c.ExecuteTemplate(&b, name, values)
	return b.Bytes(), err
}

// brews is what a customer pastes from the log of a kitchen scale, as it stands inside of JSON.
func brews(n int, before time.Time) string {
	var b strings.Builder
	for i := range n {
		at := before.Add(time.Duration(i-n) * 5 * time.Hour)
		note := "ok"
		if i%11 == 7 {
			note = "connection lost"
		}
		fmt.Fprintf(&b, `%s  brew %d: %.1f g in, %.1f g out, %s\n`, at.Format("2006-01-02 15:04"), i+1,
			17.6+float64(i%7)/10, 35.2+float64(i%13)/5, note)
	}
	return b.String()
}

// quote writes a text for YAML so that the config takes it as it is.
func quote(text string) (string, error) {
	quoted, err := json.Marshal(strings.ReplaceAll(text, "${", "$${"))
	return string(quoted), err
}
