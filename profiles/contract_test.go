package profiles

import "github.com/trtforge/trtforge/contract"

func dims(roles ...contract.Role) []contract.Dim {
	var all []contract.Dim
	for _, r := range roles {
		d := contract.Dim{Role: r}
		if r == contract.Static {
			d.Size = 16
		}
		all = append(all, d)
	}
	return all
}

// uncached is a decoder without past.
func uncached() *contract.Contract {
	return &contract.Contract{Inputs: []contract.Tensor{
		{Name: "input_ids", Kind: contract.KindIDs, Dims: dims(contract.Batch, contract.Seq)},
		{Name: "attention_mask", Kind: contract.KindMask, Dims: dims(contract.Batch, contract.Seq)},
	}}
}

// cached is a decoder of one layer that takes past keys and values.
func cached() *contract.Contract {
	return &contract.Contract{Layers: 1, Inputs: []contract.Tensor{
		{Name: "input_ids", Kind: contract.KindIDs, Dims: dims(contract.Batch, contract.Seq)},
		{Name: "attention_mask", Kind: contract.KindMask, Dims: dims(contract.Batch, contract.Total)},
		{Name: "past.0.key", Kind: contract.KindPastKey, Dims: dims(contract.Batch, contract.Static, contract.Past, contract.Static)},
		{Name: "past.0.value", Kind: contract.KindPastValue, Dims: dims(contract.Batch, contract.Static, contract.Past, contract.Static)},
	}}
}

// static is a decoder of one layer whose cache is a buffer, of that many columns
// or, for 0, of a length that the graph leaves open.
func static(columns int64) *contract.Contract {
	c := cached()
	for i := range c.Inputs {
		for d := range c.Inputs[i].Dims {
			if r := &c.Inputs[i].Dims[d]; r.Role == contract.Past || r.Role == contract.Total {
				r.Role, r.Size = contract.Buffer, columns
			}
		}
	}
	return c
}
