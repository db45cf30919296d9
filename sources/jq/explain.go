package jq

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/itchyny/gojq"
)

// explainParse tells where a program is wrong.
func explainParse(source string, err error) error {
	wrong, ok := errors.AsType[*gojq.ParseError](err)
	if !ok {
		return fmt.Errorf("not a jq program: %w", err)
	}
	before := source[:min(max(wrong.Offset-len(wrong.Token), 0), len(source))]
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndex(before, "\n")
	return fmt.Errorf("not a jq program: %w, at line %d, column %d of it", err, line, column)
}

// explainCompile tells which name a program uses that there is not.
func explainCompile(err error) error {
	switch problem := err.Error(); {
	case strings.HasPrefix(problem, "variable not defined"):
		return fmt.Errorf("not a jq program: %w; there are %s", err, strings.Join(variableNames(), " "))
	case strings.HasPrefix(problem, "input(s)/0"):
		return errors.New("not a jq program: input and inputs can't be used; the program runs once for each value")
	default:
		return fmt.Errorf("not a jq program: %w", err)
	}
}

// words are what gojq's errors say before they show a value.
var words = regexp.MustCompile(`^(@?[A-Za-z_][A-Za-z0-9_]*[: ]*)+`)

// explainRun tells what went wrong without the values, which are content. gojq shows them in parentheses or quotes.
func explainRun(err error) error {
	if ours, ok := errors.AsType[*misuse](err); ok {
		return ours
	}
	if _, ok := errors.AsType[gojq.ValueError](err); ok {
		return errors.New("the jq program called error")
	}
	said := strings.TrimRight(words.FindString(err.Error()), ": ")
	if said == "" {
		return errors.New("the jq program can't go on with this value")
	}
	return errors.New(said)
}

// halted tells whether the program called halt, which ends it without an error.
func halted(err error) bool {
	halt, ok := errors.AsType[*gojq.HaltError](err)
	return ok && halt.Value() == nil
}
