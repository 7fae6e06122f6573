"""Every guard of every table: a positive predicate and the sentence an admin reads when it does not hold."""

from pvc.fsm.row import Guard
from pvc.fsm.states import Daemon, Guest, Handover, Job, Migration, Power, Request, Want
from pvc.fsm.views import DomainView

# ---- what is wanted of the VM

WANTS_UP = Guard("wanted up", lambda v: v.life.want is Want.start, "it is wanted {v.life.want}, not start")
WANTS_DOWN = Guard("wanted down", lambda v: v.life.want is not Want.start, "it is wanted start already")
WANTS_STOP = Guard("wanted stop or shutdown", lambda v: v.life.want in (Want.stop, Want.shutdown), "it is wanted {v.life.want}")
WANTS_DISABLE = Guard("wanted disable", lambda v: v.life.want is Want.disable, "it is wanted {v.life.want}")
WANTS_DELETE = Guard("wanted delete", lambda v: v.life.want is Want.delete, "it is wanted {v.life.want}")
WANTS_HARD = Guard("wanted off at once", lambda v: v.life.want in (Want.stop, Want.delete), "it is wanted {v.life.want}")
WANTS_SOFT = Guard("wanted off in its own time", lambda v: v.life.want in (Want.shutdown, Want.disable), "it is wanted {v.life.want}")
NOT_STOP_YET = Guard("stop is news", lambda v: v.life.want is not Want.stop, "it is wanted stop already")
NOT_SHUTDOWN_YET = Guard("shutdown is news", lambda v: v.life.want not in (Want.stop, Want.shutdown), "it is wanted {v.life.want} already")
NOT_DISABLE_YET = Guard("disable is news", lambda v: v.life.want is not Want.disable, "it is wanted disable already")
NOT_DELETE_YET = Guard("undefine is news", lambda v: v.life.want is not Want.delete, "it is being undefined already")
NOT_RESTART_YET = Guard("restart is news", lambda v: v.life.request is not Request.restart, "it will be restarted already")
NOT_CANCEL_YET = Guard("cancel is news", lambda v: v.life.request is not Request.cancel, "its migration is being cancelled already")
ASKED_RESTART = Guard("restart requested", lambda v: v.life.request is Request.restart, "nobody asked for a restart")
ASKED_HOME = Guard("home requested", lambda v: v.life.request is Request.home, "nobody called it home")
NOTHING_ASKED = Guard("nothing requested", lambda v: v.life.request is Request.none, "a request is pending: {v.life.request}")

# ---- what this hypervisor shows of the guest

RUNS = Guard("guest runs here", lambda v: v.guest is Guest.running, "the guest is {v.guest} on {v.me}")
ABSENT = Guard("guest is not here", lambda v: v.guest is Guest.absent, "the guest is {v.guest} on {v.me}")
HERE = Guard("guest is here", lambda v: v.guest in (Guest.running, Guest.paused, Guest.held), "the guest is {v.guest} on {v.me}")
HELD = Guard("a complete copy waits here", lambda v: v.guest is Guest.held, "the guest is {v.guest} on {v.me}")
IDLE = Guard("no job in flight", lambda v: v.job is Job.none, "a {v.job} job is in flight")
INTERRUPTIBLE = Guard("no job but a shutdown in flight", lambda v: v.job in (Job.none, Job.shutdown), "a {v.job} job is in flight")
MIGRATING = Guard("the migration job runs", lambda v: v.job is Job.migrate, "no migration job is in flight")
DUE = Guard("time is over", lambda v: v.due, "its time is not over")
BUDGET = Guard("restarts are left", lambda v: v.life.restarts < v.budget or v.unanswered, "it failed {v.life.restarts} times in a row")
NO_BUDGET = Guard(
    "restarts are used up",
    lambda v: v.life.restarts >= v.budget and not v.unanswered,
    "only {v.life.restarts} of {v.budget} restarts are used up",
)
RESTARTED = Guard("restarts are counted", lambda v: v.life.restarts > 0, "nothing is counted against it")
AVOIDS = Guard("targets are avoided", lambda v: bool(v.life.avoid), "it avoids no node")
STAYS_OFF = Guard("its own power-off is final", lambda v: v.stays_off, "it did not power itself off, or its policy starts it again")
LIVE = Guard("policy: move live", lambda v: v.live, "its policy is not to move live")
COLD = Guard("policy: shut down and start elsewhere", lambda v: v.cold, "its policy is to move live or to stay")
MOVABLE = Guard("policy: live, or off and on again", lambda v: v.live or v.cold, "its policy is to stay where it is")
BACKED_OFF = Guard("first try, or back-off over", lambda v: v.life.restarts == 0 or v.due, "it waits before the next try")

# ---- where it may be

CHOICE_FITS = Guard("choice fits", lambda v: v.choice in v.fits, "{v.why_choice}", ("choice",))
CHOICE_OTHER = Guard("choice is another node", lambda v: v.choice != v.life.owner, "it is on {v.choice} already")
CHOICE_NOT_HOME = Guard("choice is not its home", lambda v: v.choice != v.life.home, "its home is {v.choice} already")
CHOICE_UNTRIED = Guard("choice did not just fail", lambda v: v.choice not in v.life.avoid, "{v.choice} failed to take it a moment ago")
ME_FITS = Guard("this node fits", lambda v: v.me in v.fits, "{v.why_me}", ("me",))
TARGET_UNFIT = Guard("its target does not fit", lambda v: v.life.target not in v.fits, "{v.life.target} is about to take it")
HOME_FITS = Guard("its home fits", lambda v: v.life.home in v.fits, "{v.why_home}", ("home",))
HOME_UNTRIED = Guard(
    "its home did not just fail", lambda v: v.life.home not in v.life.avoid, "{v.life.home} failed to take it a moment ago"
)
DISPLACED = Guard("away from home", lambda v: v.life.owner != v.life.home, "it is at home on {v.life.home}")
OWNER_ALIVE = Guard("its node answers", lambda v: v.life.owner in v.alive, "its node {v.life.owner} does not answer")
OWNER_GONE = Guard("its node is proven off", lambda v: v.life.owner in v.gone, "{v.life.owner} is not proven to be off", ("owner",))
TARGET_GONE = Guard("its target is proven off", lambda v: v.life.target in v.gone, "{v.life.target} is not proven to be off", ("target",))
LEAVING = Guard("this node is flushed", lambda v: v.leaving, "{v.me} is not being flushed", ("me",))
CALLING = Guard("this node calls home", lambda v: v.calling, "{v.me} is not calling its VMs home", ("me",))
NO_TARGET = Guard("no target chosen", lambda v: v.life.target is None, "it goes to {v.life.target}")
TARGET_CHOSEN = Guard("a target is chosen", lambda v: v.life.target is not None, "no target is chosen")

# ---- the migration in flight

CALLED_OFF = Guard(
    "called off or out of time",
    lambda v: v.life.want is not Want.start or v.life.request is Request.cancel or v.due,
    "nobody called the migration off",
)
ADMIN_CALLED_OFF = Guard(
    "called off by the admin",
    lambda v: v.life.want is not Want.start or v.life.request is Request.cancel,
    "nobody called the migration off",
)
NOT_CALLED_OFF = Guard(
    "not called off",
    lambda v: v.life.want is Want.start and v.life.request is not Request.cancel,
    "the migration was called off",
)


def target_here(view: DomainView) -> bool:
    """Whether the target holds its session under the kernel boot that accepted."""
    return view.life.target in view.alive and not view.target_rebooted


TARGET_HERE = Guard("its target is there", target_here, "{v.life.target} does not answer, or has been rebooted", ("target",))


def _hopeless(view: DomainView) -> bool:
    phase = view.life.phase
    if phase is Migration.moving:
        return True  # the job has ended and the guest is still here
    return view.due or not target_here(view) or (phase is Migration.asked and view.life.target not in view.fits)


HOPELESS = Guard("it cannot succeed any more", _hopeless, "the migration may still succeed")
BEFORE_HANDOVER = Guard(
    "not handed over yet",
    lambda v: v.life.phase in (Migration.asked, Migration.accepted, Migration.moving),
    "it is handed over to {v.life.target} already",
)
# One that was suspended by hand must not keep its migration waiting for ever; once copying has begun, a pause is libvirt's.
STAYED = Guard(
    "guest is still here",
    lambda v: v.guest is Guest.running or (v.guest is Guest.paused and v.life.phase in (Migration.asked, Migration.accepted)),
    "the guest is {v.guest} on {v.me}",
)
HANDED_OVER = Guard("handed over", lambda v: v.life.phase is Migration.handover, "it is not handed over to {v.life.target} yet")
NOT_MOVING = Guard(
    "no copy may be complete elsewhere",
    lambda v: v.life.phase is not Migration.moving,
    "the guest may have arrived on {v.life.target}",
)


def _copy_harmless(view: DomainView) -> bool:
    life = view.life
    if life.phase not in (Migration.accepted, Migration.moving) or life.target in view.gone or view.target_rebooted:
        return True
    # A paused copy runs on the record's word alone; libvirt's own hand-over may already run it.
    return life.handover is Handover.paused and not target_here(view)


COPY_HARMLESS = Guard("no copy can run at the target", _copy_harmless, "{v.life.target} has to say whether the guest arrived")


def _expected(view: DomainView) -> bool:
    life = view.life
    return life.target == view.me and life.phase in (Migration.accepted, Migration.moving, Migration.handover)


STRAY_COPY = Guard(
    "an unexpected copy is here",
    lambda v: v.guest in (Guest.incoming, Guest.held) and not _expected(v),
    "no unexpected copy is on {v.me}",
)
STRAY_GUEST = Guard(
    "the guest runs here unexpectedly",
    lambda v: v.guest is Guest.running and not _expected(v),
    "the guest is not running on {v.me} unexpectedly",
)
PAUSED = Guard("the guest is paused here", lambda v: v.guest is Guest.paused, "the guest is {v.guest} on {v.me}")
PAUSED_HANDOVER = Guard("paused hand-over", lambda v: v.life.handover is Handover.paused, "libvirt hands over by itself")
LIBVIRT_HANDOVER = Guard("libvirt's hand-over", lambda v: v.life.handover is Handover.libvirt, "the hand-over is paused")
FOUND_HERE = Guard(
    "the guest runs here, or is suspended",
    lambda v: v.guest in (Guest.running, Guest.paused),
    "the guest is {v.guest} on {v.me}",
)
STRAY_PAUSED = Guard("a suspended stray is here", lambda v: v.guest is Guest.paused, "no suspended stray is on {v.me}")

# ---- nodes

LOST = Guard("it holds no session", lambda v: not v.alive, "{v.node} holds its session")
HOLDER_GONE = Guard("nobody holds its fence", lambda v: not v.holder_alive, "{v.life.by} holds its fence")
MISSED = Guard(
    "it did not say goodbye, or a VM names it",
    lambda v: v.concerns or v.life.daemon is not Daemon.stop,
    "{v.node} was stopped cleanly, and no VM names it",
)
READ_OFF = Guard("its power reads off, twice", lambda v: v.reading is Power.off, "the power of {v.node} reads {v.reading}")
READ_NOT_OFF = Guard(
    "its power does not read off", lambda v: v.reading in (Power.on, Power.silent), "the power of {v.node} reads {v.reading}"
)
READ_SILENT = Guard("its fence device is silent", lambda v: v.reading is Power.silent, "the fence device of {v.node} answers")
UNREAD_OR_STALE = Guard("its power is unread or long read", lambda v: v.stale or v.reading is Power.unread, "its power was just read")
NODE_IDLE = Guard("no power job in flight", lambda v: not v.busy, "a power job is in flight")
NODE_DUE = Guard("time is over", lambda v: v.due, "its time is not over")
NOT_ORDERED = Guard("order is news", lambda v: not v.life.ordered, "{v.node} is ordered to be shot already")
UNBRAKED = Guard("no brake", lambda v: not v.brake, "{v.brake}")
STOPPED = Guard("stopped cleanly", lambda v: v.life.daemon is Daemon.stop, "{v.node} was not stopped cleanly")
NOT_STOPPED = Guard("not stopped cleanly", lambda v: v.life.daemon is not Daemon.stop, "{v.node} was stopped cleanly: it is never shot")
INVENTORY = Guard("its guests are counted", lambda v: v.inventory, "{v.node} has not counted its guests yet")
OUTSIDE = Guard("not joined", lambda v: not v.joined and not v.stopping, "{v.node} has joined already, or is stopping")
JOINED = Guard("joined", lambda v: v.joined, "{v.node} has not joined in this session")
TOLD_TO_STOP = Guard("told to stop", lambda v: v.stopping, "nobody told {v.node} to stop")
NODE_RUNS = Guard("its daemon runs", lambda v: v.alive and v.life.daemon is Daemon.run, "{v.node} is {v.life.daemon}, not run")
EMPTY = Guard("no VM is left", lambda v: not v.holds, "still on {v.node}: {v.held_words}")
ALL_CALLED = Guard("all its VMs are called", lambda v: not v.uncalled, "not called home yet: {v.uncalled_words}")
NOT_COUNTED = Guard("its watchdog is not waited for", lambda v: not v.counting, "the time of its watchdog runs, and would begin anew")
POWER_BACK = Guard("policy: power on again", lambda v: v.power_back, "the policy is to leave it off")
