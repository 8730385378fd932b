package jobs

import (
	"slices"
	"testing"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/onnx"
)

func TestStepsAreToldFromPrefills(t *testing.T) {
	dim := func(roles ...contract.Role) (all []contract.Dim) {
		for _, r := range roles {
			all = append(all, contract.Dim{Role: r})
		}
		return all
	}
	growing := &contract.Contract{Inputs: []contract.Tensor{
		{Name: "ids", Kind: contract.KindIDs, Dims: dim(contract.Batch, contract.Seq)},
		{Name: "key", Kind: contract.KindPastKey, Dims: dim(contract.Batch, contract.Static, contract.Past, contract.Static)},
	}}
	static := &contract.Contract{Inputs: growing.Inputs[:1]}
	for _, c := range []struct {
		c         *contract.Contract
		seq, past int64
		want      bool
	}{
		{growing, 1, 7, true}, {growing, 1, 0, false}, {growing, 5, 0, false}, {growing, 5, 7, false},
		{static, 1, 0, true}, {static, 5, 0, false},
	} {
		is, err := steps(c.c)
		if err != nil {
			t.Fatal(err)
		}
		in := []onnx.Tensor{{Name: "ids", Dims: []int64{2, c.seq}}, {Name: "key", Dims: []int64{2, 4, c.past, 8}}}
		if got := is(in); got != c.want {
			t.Errorf("%d columns after %d: %v", c.seq, c.past, got)
		}
	}
	for _, c := range []*contract.Contract{nil, {}} {
		if _, err := steps(c); err == nil {
			t.Error("a contract without ids tells steps")
		}
	}
}

func TestSamplesSayWhereTheCacheLay(t *testing.T) {
	gpu := &ort.Provider{Name: ort.TensorRT}
	for _, c := range []struct {
		m    Model
		want bool
	}{{Model{}, false}, {Model{Provider: gpu}, true}, {Model{Provider: gpu, KV: KVHost}, true}, {Model{Provider: gpu, KV: KVDevice}, false}} {
		if got := slices.Contains(c.m.warnings(), bench.KVHost); got != c.want {
			t.Errorf("%+v: %v", c.m, got)
		}
	}
}
