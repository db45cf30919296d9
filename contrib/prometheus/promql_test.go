package prometheus_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// selector is a metric in an expression with the labels that are asked of it.
type selector struct {
	name   string
	labels []string
	// values are those by which it is chosen, of a pattern such as "a|b" each.
	values []labelValue
}

type labelValue struct{ label, value string }

var (
	// A name, then what tells of which kind it is: the braces of a selector, the list of a clause, a call.
	name      = regexp.MustCompile(`\b([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\()?`)
	clause    = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	matcher   = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"`)
	span      = regexp.MustCompile(`\[[^\]]*\]`)
	word      = regexp.MustCompile(`\w+`)
	operators = []string{"and", "or", "unless", "offset", "bool"}
)

// metricsIn returns the metrics of a PromQL expression, in their order, with the labels of their selectors and of the
// clause before them, such as the by of the sum that they are in. Whether it is PromQL is for promtool to say.
func metricsIn(expr string) (found []selector) {
	expr = span.ReplaceAllString(expr, "")
	asked, rest := clauses(expr)
	for _, at := range name.FindAllStringSubmatchIndex(rest, -1) {
		m := selector{name: rest[at[2]:at[3]]}
		kind := ""
		if at[4] >= 0 {
			kind = rest[at[4]:at[5]]
		}
		if kind == "(" || slices.Contains(operators, m.name) {
			continue
		}
		for _, label := range matcher.FindAllStringSubmatch(kind, -1) {
			m.labels = append(m.labels, label[1])
			for _, value := range strings.Split(label[2], "|") {
				m.values = append(m.values, labelValue{label[1], value})
			}
		}
		for len(asked) > 0 && asked[0].at < at[0] {
			m.labels = append(m.labels, asked[0].labels...)
			asked = asked[1:]
		}
		found = append(found, m)
	}
	return found
}

type labelList struct {
	at     int
	labels []string
}

// clauses takes the lists of labels out of an expression; each goes with the metric that follows it.
func clauses(expr string) (all []labelList, rest string) {
	rest = expr
	for _, at := range clause.FindAllStringSubmatchIndex(expr, -1) {
		all = append(all, labelList{at[0], word.FindAllString(expr[at[2]:at[3]], -1)})
		rest = rest[:at[0]] + strings.Repeat(" ", at[1]-at[0]) + rest[at[1]:]
	}
	return all, rest
}

// labelsOf are those that the values of an expression have, as far as it names them: its metric's if it begins with one,
// else those of its first clause.
func (s series) labelsOf(expr string) []string {
	all := metricsIn(expr)
	if len(all) == 0 {
		return nil
	}
	if lists, _ := clauses(expr); len(lists) > 0 && !strings.HasPrefix(strings.TrimSpace(expr), all[0].name) {
		return lists[0].labels
	}
	return slices.Collect(maps.Keys(s[all[0].name]))
}
