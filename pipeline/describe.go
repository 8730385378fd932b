package pipeline

import (
	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/report"
)

// describeGraphs fills in how ranges came about and what became of the matrix
// products, where there is any INT8.
func (j *job) describeGraphs(d *report.Data) error {
	if s := j.stage("calibrate"); s != nil {
		table, err := calib.ReadFile(s.path(tableFile))
		if err != nil {
			return err
		}
		d.Calibration = &report.Calibrated{Table: table}
		if err := describeObservations(d.Calibration, s.path(observationsFile)); err != nil {
			return err
		}
	}
	for _, e := range j.engines {
		if !typed(e.EngineConfig).Calibrated() {
			continue
		}
		list, err := quant.ReadDecisionsFile(j.model(e.EngineConfig).path(decisionsFile))
		if err != nil {
			return err
		}
		q := report.Quantized{Engine: e.Name(), Decisions: list}
		if s := j.stage("search"); s != nil {
			if q.Search, err = readSearch(s.path(searchFile)); err != nil {
				return err
			}
		}
		d.Quantized = append(d.Quantized, q)
	}
	return nil
}

// dominating is how many channels of a tensor the report names.
const dominating = 3

// describeObservations adds what the calibration saw beside its table.
func describeObservations(c *report.Calibrated, path string) error {
	seen, err := calib.ReadObservationsFile(path)
	if err != nil {
		return err
	}
	c.Curve, c.Near = seen.Curve, seen.Near()
	c.Outliers, err = seen.Outliers(calib.Absmax(), dominating)
	return err
}

// stage is the one of that name; nil where the pipeline has none.
func (j *job) stage(name string) *stage {
	for _, s := range j.stages {
		if s.name == name {
			return s
		}
	}
	return nil
}
