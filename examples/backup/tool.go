package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/s3kloset/s3kloset"
)

// job is one run of the tool.
type job struct {
	*command
	display *display
	target  *target
	from    *s3kloset.Bucket // nil: there is no source
	into    *s3kloset.Bucket // nil: nothing to restore
	repo    *s3kloset.Repository
	report  *toolReport
}

// run does what the command line asks for. The report tells how far it came.
func (c *command) run(ctx context.Context, d *display) (result result, err error) {
	started := time.Now()
	j := &job{command: c, display: d, report: &toolReport{}}
	result = j.report
	defer func() {
		err = errors.Join(err, j.close(ctx))
		j.report.Duration = time.Since(started)
	}()
	if err := j.open(ctx); err != nil {
		return result, err
	}
	return result, j.do(ctx)
}

// open makes all handles before the first request, so that mistakes in the
// command line show before anything is done.
func (j *job) open(ctx context.Context) (err error) {
	if j.source != "" {
		j.from, err = open("-source", j.source, j.sourceOptions.over(j.options), s3kloset.WithProgress(j.display.follow))
		if err != nil {
			return err
		}
	}
	if j.restore != "" {
		j.into, err = open("-restore", j.restore, j.restoreOptions.over(j.options), s3kloset.WithProgress(j.display.follow))
		if err != nil {
			return err
		}
	}
	if j.target, err = j.openTarget(ctx); err != nil {
		return err
	}
	j.report.Store = j.target.name
	j.repo, j.report.Created, err = j.openRepository(ctx, j.target)
	return err
}

// do runs the parts of the job. Objects that failed do not keep the others
// from their restore; everything else ends the run.
func (j *job) do(ctx context.Context) error {
	var incomplete error
	for _, part := range []struct {
		wanted bool
		run    func(context.Context) error
	}{
		{j.backsUp(), j.doBackup},
		{j.list, j.doList},
		{j.check, j.doCheck},
		{j.into != nil, j.doRestore},
		{j.verify != "", j.doVerify},
	} {
		if !part.wanted {
			continue
		}
		err := part.run(ctx)
		if err != nil && !errors.Is(err, s3kloset.ErrIncomplete) {
			return errors.Join(incomplete, err)
		}
		incomplete = errors.Join(incomplete, err)
	}
	return incomplete
}

func (j *job) doBackup(ctx context.Context) (err error) {
	j.display.begin(fmt.Sprintf("backing up %s", j.from), 0)
	defer j.display.end()
	j.report.Backup, err = j.repo.Backup(ctx, j.from.Source())
	return err
}

func (j *job) doList(ctx context.Context) (err error) {
	j.report.listed = true
	j.report.Snapshots, err = j.repo.Snapshots(ctx)
	return err
}

func (j *job) doCheck(ctx context.Context) error {
	snapshot := j.chosen()
	j.display.say("checking snapshot %s ...", snapshot)
	if err := j.repo.Check(ctx, snapshot); err != nil {
		return err
	}
	j.report.Checked = snapshot
	return nil
}

func (j *job) doRestore(ctx context.Context) (err error) {
	snapshot := j.chosen()
	j.display.begin(fmt.Sprintf("restoring snapshot %s into %s", snapshot, j.into), 0)
	defer j.display.end()
	j.report.Restore, err = j.repo.Restore(ctx, snapshot, j.into.Destination())
	return err
}

// chosen is the snapshot to work with.
func (j *job) chosen() string {
	switch b := j.report.Backup; {
	case j.snapshot != "":
		return j.snapshot
	case b != nil && b.Snapshot.ID != "":
		return b.Snapshot.ID
	}
	return "latest"
}

// close lets go of everything that open opened.
func (j *job) close(ctx context.Context) error {
	var errs []error
	if j.repo != nil {
		errs = append(errs, j.repo.Close())
	}
	if j.target != nil {
		j.report.StoreRequests = j.target.requests()
		errs = append(errs, j.target.close(ctx))
	}
	for _, b := range []*s3kloset.Bucket{j.from, j.into} {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	return errors.Join(errs...)
}
