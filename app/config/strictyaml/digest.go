package strictyaml

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
)

// seed makes digests tell nothing outside of this process: what they are taken over holds secrets.
var seed = maphash.MakeSeed()

// Digest is the same for values that say the same once the variables are replaced and the files with secrets are read, in
// whatever order their keys are. It holds for this process only.
type Digest uint64

// Digest is to be taken when the value was decoded: that is when the files are read.
func (n *Node) Digest() Digest {
	var h maphash.Hash
	h.SetSeed(seed)
	n.digest(&h)
	return Digest(h.Sum64())
}

func (n *Node) digest(h *maphash.Hash) {
	maphash.WriteComparable(h, n.Kind)
	switch n.Kind {
	case Mapping:
		maphash.WriteComparable(h, len(n.Entries))
		for _, e := range slices.SortedFunc(slices.Values(n.Entries), func(a, b Entry) int { return cmp.Compare(a.meant(), b.meant()) }) {
			maphash.WriteComparable(h, e.meant())
			e.Value.digest(h)
		}
	case List:
		maphash.WriteComparable(h, len(n.items))
		for _, item := range n.items {
			item.digest(h)
		}
	case Scalar:
		if n.secret != nil {
			maphash.WriteComparable(h, *n.secret)
			maphash.WriteComparable(h, true)
			return
		}
		_, text := n.Value().(string)
		maphash.WriteComparable(h, n.text)
		maphash.WriteComparable(h, text)
	}
}

// meant is the key that the value is for: a secret is the same wherever it lies.
func (e Entry) meant() string {
	if e.Value.secret != nil {
		return strings.TrimSuffix(e.Key, fileSuffix)
	}
	return e.Key
}
