// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// oracle is a model of what is promised to users. It knows the nodes, every write to the API server and every send, and nothing
// of package decide: what it expects is worked out anew, in the simplest way.
type oracle struct {
	s *simulation

	mu         sync.Mutex
	violations []string
	// story holds the last lines of what happened, and digest stands for all of it.
	story  []string
	digest uint64
	// counts are of what happened, by words.
	counts map[string]int

	attempts map[types.UID]*attempted
	// chains are the attempts of all policies of a name on an instance, the oldest first.
	chains  map[chainKey][]*attempted
	running map[types.UID]*attempted
	fleets  map[string]*watched
	// started is when executions started.
	started map[executionKey]time.Time
	// troubled is when something was wrong last that keeps all policies from knowing their instances.
	troubled time.Time
	// checked is when the statuses were last compared with the nodes.
	checked time.Time
	// largest is the largest status that was written, in bytes of JSON; there is how many Remediations there are, and most the
	// most there were.
	largest, there, most int
	// sparse makes the checks that look at all attempts once in so many openings; 0 is always.
	sparse int
}

type chainKey struct{ policy, instance string }

type executionKey struct{ commandID, instance string }

// attempted is what is known of a Remediation, also of one that is gone.
type attempted struct {
	*v1alpha1.RemediationSpec
	uid    types.UID
	policy string
	result v1alpha1.Result
	// end is when the result was recorded; zero while it runs.
	end     time.Time
	gone    bool
	effects []simulated.Effect
	// sent is when its commands were sent first, by purpose.
	sent map[string]time.Time
	// commandID is that of Run.
	commandID string
	// late is set when it was told once that it does not end.
	late bool
}

func (a *attempted) String() string {
	return fmt.Sprintf("%s/%s #%d (attempt %d, step %d)", a.policy, a.InstanceID, a.Sequence, a.Attempt, a.StepIndex)
}

// watched is what is known of a policy.
type watched struct {
	name string
	// edited is when its spec or what bears upon it was changed last, or its probes were interrupted.
	edited time.Time
	// over is since when more of its instances are really down than limits.maxUnhealthy; zero while they are not.
	over time.Time
	// counted is since when status counts no more than that; zero while it counts more.
	counted time.Time
	// news is when something about the instances of the policy happened last, and beat when its status was written last since.
	news, beat time.Time
}

func newOracle(s *simulation) *oracle {
	return &oracle{
		s: s, counts: map[string]int{}, attempts: map[types.UID]*attempted{}, chains: map[chainKey][]*attempted{},
		running: map[types.UID]*attempted{}, fleets: map[string]*watched{}, started: map[executionKey]time.Time{},
		troubled: s.began, checked: s.began,
	}
}

const (
	// manyViolations is enough.
	manyViolations = 10
	// longStory is how many lines are shown with a violation.
	longStory = 60
)

// violated notes that a promise was broken. The lock may be held.
func (o *oracle) violated(format string, values ...any) {
	if len(o.violations) < manyViolations {
		o.violations = append(o.violations, fmt.Sprintf("after %v: ", o.s.elapsed())+fmt.Sprintf(format, values...))
	}
}

func (o *oracle) failed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.violations) > 0
}

// report fails the test when a promise was broken.
func (o *oracle) report() {
	o.s.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.violations) > 0 {
		o.s.t.Fatalf("seed %d reproduces this:\n  %s\nwhat happened before:\n  %s", o.s.seed,
			strings.Join(o.violations, "\n  "), strings.Join(o.story, "\n  "))
	}
}

// tell adds a line to the story.
func (o *oracle) tell(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.telling("%s", line)
}

func (o *oracle) telling(format string, values ...any) {
	line := fmt.Sprintf("%9v  ", o.s.elapsed()) + fmt.Sprintf(format, values...)
	o.story = append(o.story, line)
	if len(o.story) > longStory {
		o.story = o.story[1:]
	}
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, o.digest, line)
	o.digest = h.Sum64()
}

// fleet is what is known of a policy.
func (o *oracle) fleet(name string) *watched {
	w := o.fleets[name]
	if w == nil {
		w = &watched{name: name, edited: o.s.began, news: o.s.began}
		o.fleets[name] = w
	}
	return w
}

// written is told of each write.
func (o *oracle) written(before client.Object, e entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch object := e.object.(type) {
	case *v1alpha1.Remediation:
		old, _ := before.(*v1alpha1.Remediation)
		o.remediationWritten(old, object, e.gone)
	case *v1alpha1.RemediationPolicy:
		old, _ := before.(*v1alpha1.RemediationPolicy)
		o.policyWritten(old, object, e.gone)
	default:
		for _, w := range o.fleets {
			w.edited = o.s.clock.Now()
		}
	}
}

func (o *oracle) remediationWritten(before, r *v1alpha1.Remediation, gone bool) {
	a := o.attempts[r.UID]
	if a == nil {
		a = o.opened(r)
	}
	if before != nil && before.UID == r.UID {
		o.compare(a, before, r)
	}
	if result := resultOf(r); result != a.result {
		o.ended(a, r, result)
	}
	if run := commandOf(r, v1alpha1.CommandPurposeRun); run != nil && run.CommandID != "" {
		a.commandID = run.CommandID
	}
	if gone && !a.gone {
		a.gone = true
		o.there--
	}
	if gone && a.result == v1alpha1.ResultRunning {
		o.violated("%v is gone without a result", a)
	}
}

func resultOf(r *v1alpha1.Remediation) v1alpha1.Result {
	for _, c := range r.Status.Conditions {
		if c.Type == v1alpha1.ConditionComplete && c.Status == "True" {
			return v1alpha1.Result(c.Reason)
		}
	}
	return v1alpha1.ResultRunning
}

func commandOf(r *v1alpha1.Remediation, purpose v1alpha1.CommandPurpose) *v1alpha1.CommandStatus {
	for i := range r.Status.Commands {
		if r.Status.Commands[i].Purpose == purpose {
			return &r.Status.Commands[i]
		}
	}
	return nil
}

// happens notes that something has happened to instances, of which statuses may tell.
func (o *oracle) happens() {
	for _, w := range o.fleets {
		w.news, w.beat = o.s.clock.Now(), time.Time{}
	}
}

// interrupted notes that policies have to find out anew how their instances are.
func (o *oracle) interrupted() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.troubled = o.s.clock.Now()
}

// executed is told of each execution when it starts.
func (o *oracle) executed(e ssmlocal.Entry) {
	if strings.HasPrefix(e.Comment, "probe/") {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.started[executionKey{e.CommandID, e.InstanceID}] = e.Start
}

// look looks at everything. It is called before and after whatever the replicas do.
func (o *oracle) look() {
	now, changed := o.s.clock.Now(), false
	for _, m := range o.s.nodes {
		m.look(now)
		changed = changed || m.healthSince.Equal(now)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if changed {
		o.happens()
	}
	if o.s.troubled() {
		o.troubled = now
	}
	o.act()
	for _, a := range o.inOrder(o.running) {
		o.inTime(a, now)
	}
	for _, name := range slices.Sorted(maps.Keys(o.fleets)) {
		o.count(o.fleets[name], now)
	}
	if now.Sub(o.checked) >= 10*time.Second {
		o.checked = now
		o.compareStatuses(now)
	}
}

// troubled tells whether something is wrong that keeps policies from knowing their instances.
func (s *simulation) troubled() bool {
	now := s.clock.Now()
	return s.faults.bad() || len(s.runners) != 1 || s.runners[0].deaf.After(now) || s.runners[0].frozen.After(now)
}

// act takes in what has been done on the nodes since. What is still to come may be taken back.
func (o *oracle) act() {
	now := o.s.clock.Now()
	for _, e := range o.s.ledger.Effects() {
		if !e.Time.After(now) {
			o.acted(e)
		}
	}
	o.s.ledger.Forget(now.Add(1))
}

func (o *oracle) inOrder(attempts map[types.UID]*attempted) []*attempted {
	return slices.SortedFunc(maps.Values(attempts), compareAttempted)
}

func compareAttempted(a, b *attempted) int {
	return cmp.Or(cmp.Compare(a.policy, b.policy), cmp.Compare(a.InstanceID, b.InstanceID), cmp.Compare(a.Sequence, b.Sequence),
		a.OpenTime.Compare(b.OpenTime.Time))
}

// inTime checks that an attempt ends in bounded time: when it may act last, with the time-outs of its commands and of those
// who read them.
func (o *oracle) inTime(a *attempted, now time.Time) {
	bound := 20*time.Minute + secondsOf(a.Step.TimeoutSeconds) + secondsOf(a.Step.VerifySeconds)
	begin := a.NotAfter.Time
	if o.troubled.After(begin) {
		begin = o.troubled
	}
	if !a.late && now.Sub(begin) > bound {
		a.late = true
		o.violated("%v has no result %v after its notAfter and the last trouble", a, now.Sub(begin))
	}
}

func secondsOf(n *int32) time.Duration {
	if n == nil {
		return 0
	}
	return time.Duration(*n) * time.Second
}

// count takes in whether more instances of a policy are really down than may be.
func (o *oracle) count(w *watched, now time.Time) {
	policy := o.s.journal.policy(o.s.key(w.name))
	if policy == nil {
		return
	}
	down, targets := 0, o.s.targets(policy)
	for _, m := range targets {
		if m.health == v1alpha1.HealthUnhealthy {
			down++
		}
	}
	switch over := down > mostDown(policy, len(targets)); {
	case !over:
		w.over = time.Time{}
	case w.over.IsZero():
		w.over = now
	}
}

// mostDown is limits.maxUnhealthy in instances: a percentage is rounded down, and is at least three.
func mostDown(policy *v1alpha1.RemediationPolicy, targets int) int {
	limit := policy.Spec.Limits.MaxUnhealthy
	if limit.Type == intstr.Int {
		return limit.IntValue()
	}
	return max(3, targets*percentOf(limit)/100)
}

// mostAtOnce is limits.maxConcurrent in instances: a percentage is rounded up, and is at least one and at most 25.
func mostAtOnce(policy *v1alpha1.RemediationPolicy, targets int) int {
	limit := policy.Spec.Limits.MaxConcurrent
	if limit.Type == intstr.Int {
		return limit.IntValue()
	}
	return max(1, min(25, (targets*percentOf(limit)+99)/100))
}

func percentOf(limit *intstr.IntOrString) int {
	percent := 0
	_, _ = fmt.Sscanf(limit.StrVal, "%d%%", &percent)
	return percent
}

// targets are the nodes that a policy is about.
func (s *simulation) targets(policy *v1alpha1.RemediationPolicy) []*machine {
	var targets []*machine
	for _, m := range s.nodes {
		if m.connection != ssmlocal.Absent && targeted(&policy.Spec.Targets, m) && !excluded(&policy.Spec.Targets, m) {
			targets = append(targets, m)
		}
	}
	return targets
}

func targeted(t *v1alpha1.Targets, m *machine) bool {
	if len(t.Tags) > 0 {
		return slices.Contains(t.Tags[0].Values, m.role)
	}
	return slices.Contains(t.InstanceIDs, v1alpha1.InstanceID(m.ID()))
}

func excluded(t *v1alpha1.Targets, m *machine) bool {
	return t.Exclude != nil && slices.Contains(t.Exclude.InstanceIDs, v1alpha1.InstanceID(m.ID()))
}
