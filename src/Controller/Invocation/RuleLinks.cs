using Frusta.Contracts.Entities;
using Frusta.Controller.Entities;
using Frusta.Store.Entities;

namespace Frusta.Controller.Invocation;

/// <summary>Finds the links of a trigger to its rules that count.</summary>
/// <remarks>
/// The rule says which trigger and which action it joins; its trigger says only whether it is active. A link whose rule is gone, cannot be read or
/// names another trigger is left over from a change that was interrupted (see <see cref="EntityUnit"/>), or its rule is not written yet. It does not
/// count: it does not fire, is not shown, and is removed by the next write of the trigger.
/// </remarks>
internal static class RuleLinks
{
    /// <summary>The trigger with the links that count; the same object when all do.</summary>
    public static async ValueTask<TriggerDocument> CountingAsync(TriggerDocument trigger, ReadEntity read, CancellationToken cancellationToken)
    {
        Dictionary<string, RuleLink>? counting = null;
        foreach (var (id, link) in trigger.Rules ?? new Dictionary<string, RuleLink>(StringComparer.Ordinal))
        {
            var (_, rule) = await read(id, cancellationToken).OfKindAsync<RuleDocument>();
            if (rule is null || rule.Trigger != trigger.Name)
            {
                counting ??= Copy(trigger.Rules);
                counting.Remove(id);
            }
            else if (rule.Action != link.Action)
            {
                counting ??= Copy(trigger.Rules);
                counting[id] = link with { Action = rule.Action };
            }
        }

        return counting is null ? trigger : trigger with { Rules = counting };
    }

    /// <summary>The trigger with one link set, or removed where <paramref name="link"/> is null; the same object when that changes nothing.</summary>
    public static TriggerDocument Relink(TriggerDocument trigger, string rule, RuleLink? link)
    {
        if (trigger.Rules?.GetValueOrDefault(rule) == link)
        {
            return trigger;
        }

        var rules = Copy(trigger.Rules);
        if (link is null)
        {
            rules.Remove(rule);
        }
        else
        {
            rules[rule] = link;
        }

        return trigger with { Rules = rules };
    }

    private static Dictionary<string, RuleLink> Copy(IReadOnlyDictionary<string, RuleLink>? rules) =>
        rules is null ? new(StringComparer.Ordinal) : new(rules, StringComparer.Ordinal);
}
