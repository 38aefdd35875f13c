// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// RemediationPolicySpec is what a platform team declares: where, what to watch, how to bring it back, and how often at
// most.
type RemediationPolicySpec struct {
	// suspend stops probing and recovery. What is in flight on a node ends there.
	// Defaults to false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// mode is Enforce, or Observe to probe and record what would have been done,
	// as Remediations with the result Observed, and do nothing. Defaults to
	// Enforce.
	// +kubebuilder:default=Enforce
	// +optional
	Mode Mode `json:"mode,omitempty"`

	// region is the AWS region of the instances. Defaults to the region of the
	// controller; status.region says which one was taken.
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,3}(-[a-z]+)+-[0-9]{1,2}$')",message="must be the code of an AWS region, for example eu-central-1"
	// +optional
	Region string `json:"region,omitempty"`

	// targets are the instances.
	// +required
	Targets Targets `json:"targets"`

	// process is what has to be running on each of them.
	// +required
	Process ProcessSpec `json:"process"`

	// probe says how often that is checked and when the process counts as down.
	// +kubebuilder:default={}
	// +optional
	Probe ProbeSpec `json:"probe,omitzero"`

	// recovery is what is done about it.
	// +required
	Recovery RecoverySpec `json:"recovery"`

	// limits bound what recovery may do.
	// +kubebuilder:default={}
	// +optional
	Limits LimitsSpec `json:"limits,omitzero"`

	// maintenanceWindows say when recovery may run, at most 16. With any window
	// of the action Allow it runs only within one of these; within one of the
	// action Deny it never runs. Probing goes on at all times.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	// +optional
	MaintenanceWindows []MaintenanceWindow `json:"maintenanceWindows,omitempty"`

	// output says what becomes of what recoveries print.
	// +kubebuilder:default={}
	// +optional
	Output OutputSpec `json:"output,omitzero"`

	// history says how long finished Remediations are kept.
	// +kubebuilder:default={}
	// +optional
	History HistorySpec `json:"history,omitzero"`
}

// Mode says whether a policy acts.
//
// +kubebuilder:validation:Enum=Enforce;Observe
type Mode string

const (
	// ModeEnforce recovers what is down.
	ModeEnforce Mode = "Enforce"
	// ModeObserve records what would have been done.
	ModeObserve Mode = "Observe"
)

// Targets selects the instances of a policy. Exactly one of instanceIDs and tags is set.
//
// +kubebuilder:validation:XValidation:rule="has(self.instanceIDs) != has(self.tags)",message="set exactly one of instanceIDs and tags"
type Targets struct {
	// instanceIDs lists the instances, at most 1000.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +listType=set
	// +optional
	InstanceIDs []InstanceID `json:"instanceIDs,omitempty"`

	// tags selects the instances that have every one of these tags, at most 5 (the
	// limit of SendCommand).
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	// +listType=map
	// +listMapKey=key
	// +optional
	Tags []Tag `json:"tags,omitempty"`

	// exclude takes instances out again. Nothing is run on an excluded instance,
	// not even a probe. Its tags are looked up at the beginning of each round of
	// probes: what was begun before a node got them still goes on, a recovery that
	// was due for up to three minutes, and a watch until it ends.
	// +optional
	Exclude *Exclude `json:"exclude,omitempty"`
}

// Exclude takes out the instances that are listed or that have every one of the tags.
//
// +kubebuilder:validation:XValidation:rule="has(self.instanceIDs) || has(self.tags)",message="set instanceIDs, tags or both, or remove exclude"
type Exclude struct {
	// instanceIDs lists instances to leave alone, at most 1000.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +listType=set
	// +optional
	InstanceIDs []InstanceID `json:"instanceIDs,omitempty"`

	// tags leaves alone the instances that have every one of these tags, at most
	// 5.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	// +listType=map
	// +listMapKey=key
	// +optional
	Tags []Tag `json:"tags,omitempty"`
}

// Tag selects by one AWS tag: the key has to be there with any one of the values.
type Tag struct {
	// key of the tag, for example Role.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Key string `json:"key"`

	// values of which the instance has to have one, at most 50 (the limit of
	// SendCommand).
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MaxLength=256
	// +listType=set
	// +required
	Values []string `json:"values"`
}

// RecoverySpec is the escalation ladder.
type RecoverySpec struct {
	// steps are taken one after the other, one for each attempt of an incident;
	// the last one is repeated. 1 to 8.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	// +required
	Steps []RecoveryStep `json:"steps"`

	// evidence are commands whose output is kept before anything is touched, for
	// example `journalctl -u httpd -n 20`; at most 4, of 1024 characters each. Each
	// may take 10 seconds.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:XValidation:rule="self.all(command, command.size() <= 1024)",message="each must be at most 1024 characters; put more into a script on the node and call that"
	// +listType=atomic
	// +optional
	Evidence []ShellCommand `json:"evidence,omitempty"`

	// stableSeconds is how long an instance has to be healthy before an incident
	// is over, in seconds: the next failure then starts at the first step again.
	// Defaults to 600.
	// +kubebuilder:default=600
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	// +optional
	StableSeconds int32 `json:"stableSeconds,omitempty"`
}

// LimitsSpec bounds what recovery may do.
//
// +kubebuilder:validation:XValidation:rule="!has(self.backoffSeconds) || !has(self.backoffMaxSeconds) || self.backoffMaxSeconds >= self.backoffSeconds",message="backoffMaxSeconds must not be less than backoffSeconds; raise backoffMaxSeconds"
type LimitsSpec struct {
	// attempts is how many attempts an instance gets within windowSeconds,
	// successful or not. Defaults to 3.
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	Attempts int32 `json:"attempts,omitempty"`

	// windowSeconds is the sliding window of attempts, in seconds. Defaults to
	// 3600.
	// +kubebuilder:default=3600
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=604800
	// +optional
	WindowSeconds int32 `json:"windowSeconds,omitempty"`

	// backoffSeconds is the pause after the first attempt on an instance, in
	// seconds; it doubles with each further attempt of the incident. Defaults to
	// 60.
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	// +optional
	BackoffSeconds int32 `json:"backoffSeconds,omitempty"`

	// backoffMaxSeconds is the longest such pause, in seconds. Defaults to 600.
	// +kubebuilder:default=600
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	// +optional
	BackoffMaxSeconds int32 `json:"backoffMaxSeconds,omitempty"`

	// maxConcurrent is how many instances may be under recovery at once: a number,
	// or a percentage of the targets, rounded up, which never means more than 25.
	// An attempt that did not recover its instance keeps its place through its
	// backoff. Defaults to 10%.
	// +kubebuilder:default="10%"
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 && self <= 1000 : self.matches('^([1-9][0-9]?|100)%$')",message="must be a number from 1 to 1000, or a percentage from \"1%\" to \"100%\""
	// +optional
	MaxConcurrent *intstr.IntOrString `json:"maxConcurrent,omitempty"`

	// maxUnhealthy is the breaker: with more instances than this down at once
	// nothing is touched, because then something else is wrong than the
	// instances. A number, or a percentage of the targets, rounded down, which is
	// never taken for less than 3. It lets go when no more than this many have
	// been down for two rounds of probes. Defaults to 50%.
	// +kubebuilder:default="50%"
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 && self <= 100000 : self.matches('^([1-9][0-9]?|100)%$')",message="must be a number from 1 to 100000, or a percentage from \"1%\" to \"100%\""
	// +optional
	MaxUnhealthy *intstr.IntOrString `json:"maxUnhealthy,omitempty"`

	// stopAfterIneffective is how many attempts in a row, over the whole fleet,
	// may fail to recover their instance before nothing more is sent until the
	// spec changes or the attempts are reset (the annotation
	// ssm-remediator.io/reset-at): then the recovery is wrong, and not the nodes. Until the
	// first attempt under a spec has recovered its instance, no more than this
	// many run at once. Defaults to 5.
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +optional
	StopAfterIneffective int32 `json:"stopAfterIneffective,omitempty"`
}

// HistorySpec says how long finished Remediations are kept. One that the limits still need is kept in any case.
type HistorySpec struct {
	// limit is how many finished Remediations of the policy are kept. Defaults to
	// 100.
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	// +optional
	Limit int32 `json:"limit,omitempty"`

	// ttlSeconds is how long a finished Remediation is kept, in seconds. Defaults
	// to 604800 (a week).
	// +kubebuilder:default=604800
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	TTLSeconds int32 `json:"ttlSeconds,omitempty"`
}

// RemediationPolicy keeps a process running on EC2 instances and hybrid nodes through AWS Systems Manager.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rpol
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="metadata.name must be at most 63 characters, because it becomes a label of each Remediation; choose a shorter name"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the policy is accepted and probing on time."
// +kubebuilder:printcolumn:name="Targets",type=integer,JSONPath=`.status.targets`,description="Instances that the policy matches."
// +kubebuilder:printcolumn:name="Healthy",type=integer,JSONPath=`.status.healthy`,description="Instances on which the process runs."
// +kubebuilder:printcolumn:name="Unhealthy",type=integer,JSONPath=`.status.unhealthy`,description="Instances on which the process is down."
// +kubebuilder:printcolumn:name="Held",type=integer,JSONPath=`.status.held`,description="Instances that said hands off."
// +kubebuilder:printcolumn:name="Unknown",type=integer,JSONPath=`.status.unknown`,description="Instances that could not be looked at."
// +kubebuilder:printcolumn:name="Last-Remediation",type=date,JSONPath=`.status.lastRemediationTime`,description="When the last attempt ended."
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Allowed",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="RemediationAllowed")].reason`,description="Whether recovery may run now, or why not."
// +kubebuilder:printcolumn:name="Account",type=string,priority=1,JSONPath=`.status.account`,description="AWS account of the instances."
// +kubebuilder:printcolumn:name="Region",type=string,priority=1,JSONPath=`.status.region`,description="AWS region of the instances."
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,description="What the condition Ready says."
type RemediationPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the team declares.
	// +required
	Spec RemediationPolicySpec `json:"spec"`

	// status is what the controller observed. A new policy reads as in progress:
	// observedGeneration is -1 until it was looked at.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status RemediationPolicyStatus `json:"status,omitzero"`
}

// RemediationPolicyList is a list of RemediationPolicy.
//
// +kubebuilder:object:root=true
type RemediationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []RemediationPolicy `json:"items"`
}
