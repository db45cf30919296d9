package sources

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheFieldsToldInAFaultAreThoseOfARecord(t *testing.T) {
	t.Parallel()
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[record]()) {
		if !field.Anonymous {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			names = append(names, name)
		}
	}
	told := strings.Split(fields, ", ")
	slices.Sort(names)
	slices.Sort(told)
	if diff := cmp.Diff(names, told); diff != "" {
		t.Error(diff)
	}
}
