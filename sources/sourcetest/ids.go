package sourcetest

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"socialhub-sync/sources"
)

// textPattern finds an item's text in a message; see [textOf].
var textPattern = regexp.MustCompile(`\bsourcetest item (\d+) version (\d+)\b`)

func textOf(id, version int) string { return fmt.Sprintf("sourcetest item %d version %d", id, version) }

// seen is an item as the adapter showed it last.
type seen struct {
	text             string
	created, updated time.Time
	deleted          bool
}

// ids knows which networkItemId is which item of the world.
type ids struct {
	byItem map[int]string
	items  map[string]int
	seen   map[int]seen
}

func newIDs() *ids {
	return &ids{byItem: map[int]string{}, items: map[string]int{}, seen: map[int]seen{}}
}

// learn takes notice of an item and tells what is wrong with its id, if anything.
func (k *ids) learn(item sources.Item) string {
	id := item.Interaction.NetworkItemID
	if item.Deleted {
		if n, known := k.items[id]; known {
			k.seen[n] = seen{deleted: true}
		}
		return ""
	}
	found := textPattern.FindStringSubmatch(item.Interaction.Message)
	if found == nil {
		return ""
	}
	n, _ := strconv.Atoi(found[1])
	if before, known := k.byItem[n]; known && before != id {
		return fmt.Sprintf("the networkItemId of an item changes: %q, then %q", before, id)
	}
	if other, known := k.items[id]; known && other != n {
		return fmt.Sprintf("two items have the networkItemId %q", id)
	}
	k.byItem[n], k.items[id] = id, n
	k.seen[n] = seen{text: found[0], created: item.Interaction.CreatedTime, updated: item.UpdatedTime}
	return ""
}
