package strictyaml

import "encoding/json"

// Value is what n holds as [json.Marshal] takes it: texts, bools, numbers as they are written, maps and lists, and nil
// for nothing. What is in quotes is a text, and so is what JSON knows no number for.
func (n *Node) Value() any {
	switch n.Kind {
	case Mapping:
		values := make(map[string]any, len(n.Entries))
		for _, e := range n.Entries {
			values[e.Key] = e.Value.Value()
		}
		return values
	case List:
		values := make([]any, len(n.items))
		for i, item := range n.items {
			values[i] = item.Value()
		}
		return values
	case Scalar:
		var v any
		if n.plain && json.Unmarshal([]byte(n.text), &v) == nil {
			switch v.(type) {
			case bool:
				return v
			case float64:
				return json.Number(n.text)
			}
		}
		return n.text
	}
	return nil
}
