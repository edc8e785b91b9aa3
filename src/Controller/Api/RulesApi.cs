using System.Text.Json;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Names;
using Frusta.Controller.Entities;
using Frusta.Controller.Entitlement;
using Frusta.Controller.Invocation;
using Frusta.Controller.Refusals;
using Frusta.Store.Entities;

namespace Frusta.Controller.Api;

/// <summary><c>.../rules</c>. Whether a rule is active is kept in its trigger, and nowhere else.</summary>
public sealed class RulesApi(EntityWrites entities, EntityAnswers answers, Entitle entitle, RuntimesManifest manifest)
{
    private static readonly byte[] Ok = [.. "OK"u8];

    public ValueTask<ApiAnswer> ListAsync(ApiCall call, string namespaceName) =>
        answers.ListAsync(call, "rules", new EntityQuery(EntityKind.Rule, namespaceName));

    public async ValueTask<ApiAnswer> GetAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entitle.CheckAsync(call.Caller, Right.Read, EntityKind.Rule, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        while (true)
        {
            var (rule, refusal) = await entities.RequireAsync<RuleDocument>(name.DocumentId, call.Aborted);
            if (refusal is { } refused)
            {
                return refused;
            }

            var (trigger, corrupt) = await FindTriggerAsync(rule!.Trigger, call.Aborted);
            if (corrupt is not null)
            {
                return corrupt;
            }

            // A rule that was moved between the two reads is looked at again: the trigger that was read is not its trigger any more.
            var (again, _) = await entities.FindAsync<RuleDocument>(name.DocumentId, call.Aborted);
            if (string.Equals(again?.Revision, rule.Revision, StringComparison.Ordinal))
            {
                return EntityJson.Rule(rule, LinkIn(trigger, name)?.Active ?? false);
            }
        }
    }

    public async ValueTask<ApiAnswer> PutAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entitle.CheckAsync(call.Caller, Right.Put, EntityKind.Rule, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        var (body, refusal) = await EntityBody.ReadAsync(call, entities.Limits, manifest);
        if (refusal is { } refused)
        {
            return refused;
        }

        using (body)
        {
            if (!call.Query.Boolean("overwrite", byDefault: false).TryGet(out var overwrite, out var malformedQuery))
            {
                return malformedQuery;
            }

            if (!Read(body!, name.Namespace).TryGet(out var put, out var malformed))
            {
                return malformed;
            }

            return await PutAsync(call, name, overwrite, put);
        }
    }

    public async ValueTask<ApiAnswer> DeleteAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entitle.CheckAsync(call.Caller, Right.Delete, EntityKind.Rule, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        return await answers.ChangeInTurnAsync(name.Namespace, () => DeleteAsync(name, call.Aborted), call.Aborted);
    }

    /// <summary>Enables or disables the rule.</summary>
    public async ValueTask<ApiAnswer> PostAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entitle.CheckAsync(call.Caller, Right.Activate, EntityKind.Rule, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        var (body, refusal) = await call.ReadBodyAsync(entities.Limits.PayloadBytes(call.Caller.Limits), required: true);
        if (refusal is { } refused)
        {
            return refused;
        }

        bool active;
        using (body)
        {
            if (!await JsonTurn.EnterForAsync(body!.Length))
            {
                return ApiAnswer.Error(503);
            }

            if (!ReadStatus(body.Memory).TryGet(out active, out var malformed))
            {
                return malformed;
            }
        }

        return await answers.ChangeInTurnAsync(name.Namespace, () => SwitchAsync(name, active, call.Aborted), call.Aborted);
    }

    private static Reading<PutRule> Read(EntityBody body, string own) =>
        body.Reference("trigger", own).TryGet(out var trigger, out var refusal)
        && body.Reference("action", own).TryGet(out var action, out refusal)
        && body.Version().TryGet(out var version, out refusal)
        && body.Publish().TryGet(out var publish, out refusal)
            ? new PutRule(trigger, action, version, publish, body.Annotations)
            : refusal;

    private static Reading<bool> ReadStatus(ReadOnlyMemory<byte> json)
    {
        if (!JsonSlice.TryParse(json, [], null, out var document, out var problem))
        {
            return Refusal.Malformed(problem);
        }

        if (document.ValueKind != JsonValueKind.Object)
        {
            return Refusal.Malformed(ApiTexts.ObjectExpected);
        }

        if (!document.TryGetProperty("status", out var status))
        {
            return Refusal.Malformed("key not found: status");
        }

        if (status.ValueKind != JsonValueKind.String)
        {
            return Refusal.Malformed("rule status malformed");
        }

        var text = status.GetString().Trim();
        return text switch
        {
            "active" => true,
            "inactive" => false,
            "" => Refusal.Malformed("requirement failed: argument undefined"),
            _ => Refusal.Malformed($"requirement failed: {EntityTexts.Shown(text)} is not a recognized rule state"),
        };
    }

    private async ValueTask<ApiAnswer> PutAsync(ApiCall call, FullyQualifiedName name, bool overwrite, PutRule put)
    {
        List<(EntityKind, FullyQualifiedName)> named = [];
        if (put.Trigger is { } namedTrigger)
        {
            named.Add((EntityKind.Trigger, namedTrigger));
        }

        if (put.Action is { } namedAction)
        {
            named.Add((EntityKind.Action, namedAction));
        }

        if (await entitle.CheckReferencedAsync(call.Caller, named, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        return await answers.ChangeInTurnAsync(name.Namespace, () => PutAsync(name, overwrite, put, call.Aborted), call.Aborted);
    }

    /// <summary>Writes the rule and its link in its trigger, and removes the link in the trigger that it had before.</summary>
    private async ValueTask<Change<ApiAnswer>> PutAsync(FullyQualifiedName name, bool overwrite, PutRule put, CancellationToken cancellationToken)
    {
        var (old, conflict) = await entities.FindForPutAsync<RuleDocument>(name, overwrite, cancellationToken);
        if (conflict is { } conflicting)
        {
            return conflicting;
        }

        if ((put.Trigger ?? old?.Trigger) is not { } triggerName || (put.Action ?? old?.Action) is not { } action)
        {
            return ApiAnswer.Error(400, EntityTexts.RuleIncomplete);
        }

        if (await CheckExistenceAsync(triggerName, action, cancellationToken) is { } missing)
        {
            return missing;
        }

        var (trigger, corrupt) = await FindTriggerAsync(triggerName, cancellationToken);
        var (left, leftCorrupt) = old is null || old.Trigger == triggerName ? (trigger, corrupt) : await FindTriggerAsync(old.Trigger, cancellationToken);
        if ((corrupt ?? leftCorrupt) is { } unreadable)
        {
            return unreadable;
        }

        var active = old is null || (LinkIn(left, name)?.Active ?? false);
        var rule = new RuleDocument
        {
            Name = name,
            Version = put.Version ?? (old is null ? SemanticVersion.First : SemanticVersion.Next(old.Version)),
            Publish = put.Publish ?? old?.Publish ?? false,
            Annotations = put.Annotations ?? old?.Annotations ?? [],
            Trigger = triggerName,
            Action = action,
            UpdatedMs = entities.Stamp(),
            Revision = old?.Revision ?? "",
        };

        List<EntityChange> changes = [.. await RelinkAsync(trigger, name, new RuleLink(action, active), cancellationToken), EntityChange.Put(rule)];
        var deciding = changes.Count - 1;
        if (old is not null && old.Trigger != triggerName)
        {
            changes.AddRange(await RelinkAsync(left, name, link: null, cancellationToken));
        }

        return new Change<ApiAnswer>(new EntityUnit(changes, deciding), () => EntityJson.Rule(rule, active));
    }

    private async ValueTask<Change<ApiAnswer>> DeleteAsync(FullyQualifiedName name, CancellationToken cancellationToken)
    {
        var (rule, refusal) = await entities.RequireAsync<RuleDocument>(name.DocumentId, cancellationToken);
        if (refusal is { } refused)
        {
            return refused;
        }

        var (trigger, corrupt) = await FindTriggerAsync(rule!.Trigger, cancellationToken);
        return corrupt is { } unreadable
            ? unreadable
            : new Change<ApiAnswer>(
                new EntityUnit([EntityChange.Delete(rule), .. await RelinkAsync(trigger, name, link: null, cancellationToken)]),
                () => EntityJson.Rule(rule, active: false));
    }

    /// <summary>Enables or disables the rule, whose version and time stay.</summary>
    private async ValueTask<Change<ApiAnswer>> SwitchAsync(FullyQualifiedName name, bool active, CancellationToken cancellationToken)
    {
        var (rule, missing) = await entities.RequireAsync<RuleDocument>(name.DocumentId, cancellationToken);
        if (missing is { } answer)
        {
            return answer;
        }

        var (trigger, corrupt) = await FindTriggerAsync(rule!.Trigger, cancellationToken);
        if (corrupt is { } unreadable)
        {
            return unreadable;
        }

        if (trigger is null)
        {
            return active ? ApiAnswer.Error(404, EntityTexts.RuleWithoutTrigger) : ApiAnswer.Text(Ok);
        }

        var link = LinkIn(trigger, name);
        return link?.Active == active || (link is null && !active)
            ? ApiAnswer.Text(Ok)
            : new Change<ApiAnswer>(new EntityUnit(await RelinkAsync(trigger, name, new RuleLink(rule.Action, active), cancellationToken)), () => ApiAnswer.Text(Ok));
    }

    /// <summary>400 unless trigger and action of a rule exist; the action may be named through a binding.</summary>
    private async ValueTask<ApiAnswer?> CheckExistenceAsync(FullyQualifiedName trigger, FullyQualifiedName action, CancellationToken cancellationToken)
    {
        var (triggerOutcome, _) = await entities.ReadAsync(trigger.DocumentId, cancellationToken).OfKindAsync<TriggerDocument>();
        return Check("trigger", trigger, triggerOutcome) ?? Check("action", action, await LookAsync(action, cancellationToken));
    }

    private static ApiAnswer? Check(string what, FullyQualifiedName name, ResolveOutcome outcome) => outcome switch
    {
        ResolveOutcome.Found => null,
        ResolveOutcome.Corrupt => ApiAnswer.Error(400, ApiTexts.Corrupt),
        _ => ApiAnswer.Error(400, EntityTexts.ReferenceMissing(what, name.DocumentId)),
    };

    /// <summary>Whether an action of this name exists; it may be named through a binding.</summary>
    private async ValueTask<ResolveOutcome> LookAsync(FullyQualifiedName action, CancellationToken cancellationToken)
    {
        var place = action;
        if (action.Package is not null)
        {
            var followed = await entities.FollowAsync(action.Path, cancellationToken);
            if (followed.End != ResolveOutcome.Found)
            {
                return followed.End;
            }

            place = followed.PlaceOf(action.Name);
        }

        var (outcome, _) = await entities.ReadAsync(place.DocumentId, cancellationToken).OfKindAsync<ActionDocument>();
        return outcome;
    }

    /// <summary>The trigger that a rule names; null when it is gone or another entity has its name, and a refusal with 500 when it cannot be read.</summary>
    private async ValueTask<(TriggerDocument? Trigger, Refusal? Corrupt)> FindTriggerAsync(FullyQualifiedName name, CancellationToken cancellationToken)
    {
        var (outcome, trigger) = await entities.ReadAsync(name.DocumentId, cancellationToken).OfKindAsync<TriggerDocument>();
        return (trigger, outcome == ResolveOutcome.Corrupt ? EntityWrites.RefusalOf(outcome) : null);
    }

    private static RuleLink? LinkIn(TriggerDocument? trigger, FullyQualifiedName rule) => trigger?.Rules?.GetValueOrDefault(rule.DocumentId);

    /// <summary>
    /// The change that sets or removes a rule's link in a trigger, whose version and time stay. It also removes all links that do not count. Empty when the
    /// trigger is gone or need not change.
    /// </summary>
    private async ValueTask<EntityChange[]> RelinkAsync(TriggerDocument? trigger, FullyQualifiedName rule, RuleLink? link, CancellationToken cancellationToken)
    {
        if (trigger is null)
        {
            return [];
        }

        var counting = await RuleLinks.CountingAsync(trigger, entities.Store.GetAsync, cancellationToken);
        var relinked = RuleLinks.Relink(counting, rule.DocumentId, link);
        return ReferenceEquals(relinked, trigger) ? [] : [EntityChange.Put(relinked)];
    }

    private sealed record PutRule(FullyQualifiedName? Trigger, FullyQualifiedName? Action, string? Version, bool? Publish, IReadOnlyList<KeyValue>? Annotations);
}
