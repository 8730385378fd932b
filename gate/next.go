package gate

import (
	"fmt"
	"slices"
	"strings"
)

// next is what one can do about limits that were not held, each thing once.
func next(failed []Verdict) string {
	var steps []string
	add := func(step string) {
		if !slices.Contains(steps, step) {
			steps = append(steps, step)
		}
	}
	for _, v := range failed {
		switch {
		case !slices.Contains(Names(), v.Gate): // see Flaws
			add("mend the graph of " + v.Engine + ": what is broken passes no limit")
			continue
		case IsSpeed(v.Gate):
			add(fmt.Sprintf("look at %s of %s with its interval, and measure more where that is wide ([run] until, bench --until 2%%)", rowOf(v.Gate), v.Engine))
		case v.Gate == "bytes_max":
			add("quantize more of " + v.Engine)
		default:
			add(mend(v))
		}
	}
	limits := map[string][]string{}
	var tables []string
	for _, v := range failed {
		if !slices.Contains(Names(), v.Gate) {
			continue
		}
		table := "[gate." + v.Precision + "]"
		if limits[table] == nil {
			tables = append(tables, table)
		}
		if !slices.Contains(limits[table], v.Gate) {
			limits[table] = append(limits[table], v.Gate)
		}
	}
	for _, t := range tables {
		add(fmt.Sprintf("or set %s under %s to what you can accept: in the pipeline's file, or in that of validate --gate and report --gates", strings.Join(limits[t], ", "), t))
	}
	return strings.Join(steps, "; ")
}

// mend is how an engine comes nearer to PyTorch, which depends on its precision.
func mend(v Verdict) string {
	step := ""
	switch v.Precision {
	case "int8", "w8":
		step = fmt.Sprintf("quantize less of %s ([quantize] exclude or search, quantize --exclude or --search)", v.Engine)
	case "fp16", "bf16":
		step = fmt.Sprintf("keep in FP32 what %s cannot hold ([text] calibrate, quantize --table)", v.Engine)
	default:
		step = fmt.Sprintf("see that %s and the reference are of one checkpoint: FP32 has nothing to lose", v.Engine)
	}
	return step
}

// rowOf is the row that a limit is about.
func rowOf(name string) string {
	for _, s := range specs {
		if s.name == name {
			return s.rows[0]
		}
	}
	return name
}
