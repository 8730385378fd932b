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
