"""The sentences that jobs and models write into the record: with values where they hold some. tests hold them to those who write them."""

from typing import Final

from console.i18n import marked

STEPS: Final = (
    marked("waiting"),
    marked("waiting: its worker was stopped"),
    marked("waiting: its worker was lost"),
    marked("given up: %(attempts)s workers were lost while they worked on it"),
    marked("cancelled"),
    marked("reading payments and labels"),
    marked("reading logged features"),
    marked("replaying features that were not logged"),
    marked("settling labels and splitting by time"),
    marked("looking for features of no use"),
    marked("trying options, round %(round)s of %(rounds)s"),
    marked("weighing frauds against legitimate payments"),
    marked("growing trees"),
    marked("calibrating"),
    marked("learning what is ordinary"),
    marked("past week %(week)s of %(weeks)s"),
    marked("judging on the test slice"),
    marked("done"),
    marked("registered as challenger"),
    marked("refused: %(reasons)s"),
    marked("the training was stopped"),
    marked("there is no payment to learn from"),
    marked("every payment is younger than the label delay of %(days)s days"),
    marked(
        "the payments reach back %(days)s days before the calibration slice, and the last %(delay)s of those cannot be learned from: "
        "their labels came too late. Import older payments or wait."
    ),
    marked(
        "the %(slice)s slice holds %(frauds)s known frauds and %(legitimate)s legitimate payments; at least %(least)s of each are needed. "
        "Label more payments, or wait until more are older than the label delay."
    ),
    marked("no payment of the control sample is labelled, and silence is to mean nothing"),
    marked("the payments are all of one kind, so a ranking cannot be judged"),
    marked("the model ranks the calibration payments no better than chance"),
)
SCHEMES: Final = (
    marked("asked for"),
    marked(
        "the control sample holds %(labels)s labels and %(frauds)s frauds; "
        "%(least)s and %(least_frauds)s are needed to go by it alone"
    ),
    marked("frauds are told of payments that nobody had looked at: there is a feed of late truths"),
    marked("only what was looked at is labelled, and the control sample stands for the rest"),
)
"""Why a training takes labels as it does."""
REFUSED: Final = (
    marked("in use"),
    marked("scores as a shadow"),
    marked("the model artifact %(artifact)s is not in %(place)s"),
    marked("the model artifact %(artifact)s was changed in %(place)s"),
    marked("the model artifact %(artifact)s is not signed"),
    marked("the signature of the model artifact %(artifact)s is by none of the %(keys)s keys trusted here"),
    marked("no key is trusted here, so no model can be used: set RONDA_TRUSTED_KEYS"),
    marked("made for feature catalogue %(catalogue)s, this is %(own)s"),
    marked("the model was trained on feature catalogue %(catalogue)s, this program has %(own)s: train again"),
    marked("the model file cannot be read: %(error)s"),
    marked("the model file has format %(format)s, this program reads %(own)s"),
    marked("the model file holds an array of an unknown kind"),
    marked("the model file holds an array of another size than it says"),
    marked("the model file has no golden payments to be verified with"),
    marked("the model file's usual ranges do not fit its features"),
    marked("the model's trees are cut or do not fit together"),
    marked("the model's trees hold nodes that lead nowhere"),
    marked("the model's calibration is not increasing"),
    marked("the model's thresholds are not in order"),
    marked("the model's anomaly trees lack their quantiles or their golden sums"),
    marked("the quantiles of the model's anomaly trees are not in order"),
    marked("of the payments the model learned from and was judged on, one kind is missing"),
    marked("the payments the model learned from and was judged on do not fit its features"),
    marked("the explanation misses the score by %(difference)s log-odds"),
    marked("the model's %(sums)s differ by %(difference)s from what its training gave"),
)
"""What a scorer says of a model that it takes into use, or why it does not."""
GATES: Final = (
    marked("%(frauds)s frauds in the test slice, at least %(least)s needed"),
    marked("average precision %(precision)s is %(lift)s times the fraud rate, at least %(least)s needed"),
    marked("expects %(ratio)s (%(least)s to %(most)s) times the frauds that came, allowed %(low)s to %(high)s"),
    marked("%(suspects)s: this knows the answer before it is known"),
    marked("%(count)s features checked; the best one by itself: %(suspects)s"),
    marked("%(count)s features checked"),
    marked(
        "%(feature)s alone has ROC AUC %(auc)s, names %(recall)s of the frauds with hardly a false alarm, "
        "and makes %(share)s of the score"
    ),
    marked("%(labels)s labels were reported before their payment happened"),
    marked(
        "one payment takes %(one)s ms, one of a batch %(batch)s µs, one explanation %(explain)s ms; "
        "allowed %(most_one)s ms, %(most_batch)s µs and %(most_explain)s ms"
    ),
    marked(
        "average precision %(precision)s against the champion's %(champion)s on the same payments; "
        "difference between %(low)s and %(high)s"
    ),
    marked(
        "expects %(ratio)s times the frauds that came, the champion %(champion)s; "
        "%(low)s to %(high)s is good whatever the champion's"
    ),
    marked("ranks worse than the champion in %(segments)s"),
    marked("%(count)s segments have enough frauds to compare, worse in none"),
    marked("%(segment)s: difference between %(low)s and %(high)s"),
)
WATCHED: Final = (
    marked(
        "%(features)s: no value in %(share)s of the payments since %(day)s, in %(before)s when the model was judged"
    ),
    marked("%(features)s: no value in %(share)s of the payments, in %(before)s when the model was judged"),
    marked("the scores have moved: PSI %(psi)s since %(day)s"),
    marked("the scores have moved: PSI %(psi)s"),
    marked("features the model leans on have moved: %(features)s; %(feature)s the most with PSI %(psi)s since %(day)s"),
    marked("features the model leans on have moved: %(features)s; %(feature)s the most with PSI %(psi)s"),
    marked(
        "average precision fell from %(before)s when the model was judged to %(now)s in payments from %(start)s, "
        "lower in every week since %(day)s"
    ),
    marked("average precision fell from %(before)s when the model was judged to %(now)s in payments from %(start)s"),
    marked("fewer alerts are right: %(now)s of them were fraud, %(before)s when the model was judged"),
    marked("values are missing that used to be there: look at the sources first, or the training learns the gap"),
    marked("the champion's file holds no payments to compare with; train and promote a new model"),
    marked("features and scores are compared from %(payments)s decided payments over at least a day on"),
    marked("too few frauds were reported to tell how long it takes; %(days)s days are taken for it"),
    marked("performance is measured on payments the champion decided %(days)s days ago and more; there are none yet"),
    marked("alert precision is measured on alerts of %(days)s days ago and more; there are none yet"),
)
FINDINGS: Final = (
    marked("it has waited %(seconds)s s for its seal: does the job `seal` run?"),
    marked("this line of the anchor file is damaged"),
    marked("no trusted key signed it"),
    marked("its content does not match its leaf hash"),
    marked("its time of entry is far from its writer's time"),
    marked("it is missing: the next one is seal %(seal)s"),
    marked("it is missing"),
    marked("it does not follow from the seal before it"),
    marked("its content does not match its hash"),
    marked("it closes over %(closed)s events, and there are %(found)s"),
    marked("its events are not those it closed over, or not in that order"),
    marked("its subtree does not match the seals before it"),
    marked(
        "its root is not that of the first %(seals)s seals: they were written anew, or the database was restored from an older copy "
        "and went on"
    ),
    marked("its root is not that of the first %(seals)s seals"),
    marked(
        "the trail is cut off before it, or the database was restored from an older copy: seals %(first)s to %(last)s are missing, "
        "the last one anchored at %(at)s"
    ),
    marked("%(record)s %(number)s in seal %(seal)s: %(why)s"),
    marked("%(record)s %(number)s: %(why)s"),
)
DEAD: Final = (
    marked("its consumer died or failed too often"),
    marked("it waited too long"),
    marked("its queue was full"),
    marked("undecodable: %(error)s"),
    marked("a %(kind)s does not belong into %(queue)s"),
    marked("scoring it alone %(failure)s, %(times)s times"),
    marked("ended or hung its process"),
    marked("raised %(error)s"),
    marked("unknown"),
)
REASONS: Final = (
    marked("Decided without this customer's history: the feature store was not available"),
    marked("Decided by rules only: no model is in use yet"),
    marked("This payment could not be scored, so it is left to a person"),
    marked("Control sample: approved, and drawn by chance to be looked at"),
    marked("Many small signs together"),
)
"""Of alerts, where neither a rule nor the model gave one."""
