//go:build cgo

package ortcpu

import (
	"testing"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/enginetest"
	"github.com/trtforge/trtforge/internal/testenv"
)

func TestContract(t *testing.T) {
	testenv.ORT(t)
	paths := models(t)
	good := engine.Request{Name: "good", Backend: "ortcpu", Precision: engine.INT8, Model: paths["int8"], ModelDigest: "abc"}
	wrong := good
	wrong.Name, wrong.Model = "wrong", paths["fp32"]
	enginetest.Run(t, func(t *testing.T) engine.Builder { return builder(t) }, good, wrong)
}
