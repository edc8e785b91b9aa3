using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;
using Frusta.Controller.Entities;
using Frusta.Controller.Entitlement;
using Frusta.Controller.Refusals;
using Frusta.Store.Entities;

namespace Frusta.Controller.Api;

/// <summary><c>.../actions</c>, all but invoking.</summary>
public sealed class ActionsApi(EntityWrites entities, EntityAnswers answers, Entitle entitle, RuntimesManifest manifest)
{
    private readonly CheckSequence _sequences = new(entities);

    /// <summary>All actions of a namespace, including those in packages.</summary>
    public ValueTask<ApiAnswer> ListAsync(ApiCall call, string namespaceName) =>
        answers.ListAsync(call, "actions", new EntityQuery(EntityKind.Action, namespaceName));

    /// <summary>The actions of one package, or of the one that a binding is bound to.</summary>
    public async ValueTask<ApiAnswer> ListPackageAsync(ApiCall call, string namespaceName, string package)
    {
        if (await entitle.CheckPackageAsync(call.Caller, namespaceName, package, isNamed: false, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        var (found, refusal) = await entities.RequireAsync<PackageDocument>($"{namespaceName}/{package}", call.Aborted);
        if (refusal is { } refused)
        {
            return refused;
        }

        var place = found!.Binding ?? found.Name;
        return await answers.ListAsync(call, "actions", new EntityQuery(EntityKind.Action, place.Namespace, place.Name));
    }

    public async ValueTask<ApiAnswer> GetAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entitle.CheckAsync(call.Caller, Right.Read, EntityKind.Action, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        if (!call.Query.Boolean("code", byDefault: true).TryGet(out var withCode, out var malformed))
        {
            return malformed;
        }

        FollowedPackage? followed = null;
        if (name.Package is not null)
        {
            followed = await entities.FollowAsync(name.Path, call.Aborted);
            if (EntityWrites.RefusalOf(followed.Value.End) is { } lost)
            {
                return lost;
            }
        }

        var place = followed?.PlaceOf(name.Name) ?? name;
        var (action, refusal) = await entities.RequireAsync<ActionDocument>(place.DocumentId, call.Aborted);
        if (refusal is { } refused)
        {
            return refused;
        }

        var parameters = EntityWrites.Merge(followed?.Parameters ?? [], action!.Parameters);
        var code = withCode ? await answers.CodeOfAsync(call, action) : default;
        return EntityJson.Action(action, code, parameters, binding: withCode || followed is not { Provider: not null } ? null : name.Path);
    }

    public async ValueTask<ApiAnswer> DeleteAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entitle.CheckAsync(call.Caller, Right.Delete, EntityKind.Action, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        if (await CheckPackageAsync(name, call.Aborted) is { } unfit)
        {
            return unfit;
        }

        var (action, refusal) = await entities.RequireAsync<ActionDocument>(name.DocumentId, call.Aborted);
        if (refusal is { } refused)
        {
            return refused;
        }

        // The code is read before the deletion: where there is no room to answer with it, the action is not deleted.
        var code = await answers.CodeOfAsync(call, action!);
        return await AnswerAsync(action!, code, () => entities.Store.DeleteAsync(name.DocumentId, action!.Revision, call.Aborted));
    }

    /// <summary>Creates or updates. The order of the checks is OpenWhisk's.</summary>
    public async ValueTask<ApiAnswer> PutAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entitle.CheckAsync(call.Caller, Right.Put, EntityKind.Action, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        if (await CheckPackageAsync(name, call.Aborted) is { } unfit)
        {
            return unfit;
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

            if (!PutAction.Read(body!).TryGet(out var put, out var wrong))
            {
                return wrong;
            }

            body!.LetTextGo();
            return LimitsReading.Check(put.Limits, call.Caller.Limits, entities.Limits) ?? await PutAsync(call, name, overwrite, put);
        }
    }

    private async ValueTask<ApiAnswer> PutAsync(ApiCall call, FullyQualifiedName name, bool overwrite, PutAction put)
    {
        var components = put.Exec?.Exec.Components;
        if (components is not null
            && await entitle.CheckReferencedAsync(call.Caller, components.Select(FullyQualifiedName.Parse).OfType<FullyQualifiedName>().Select(static one => (EntityKind.Action, one)), call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        if (put.Exec is { } exec && call.Caller.Limits.AllowedKinds is { Count: > 0 } allowed && !allowed.Contains(exec.Exec.Kind, StringComparer.Ordinal))
        {
            return ApiAnswer.Error(403, EntityTexts.KindNotAuthorized(exec.Exec.Kind));
        }

        var (old, conflict) = await entities.FindForPutAsync<ActionDocument>(name, overwrite, call.Aborted);
        if (conflict is { } conflicting)
        {
            return conflicting;
        }

        var concurrent = call.Caller.Limits.ConcurrentInvocations ?? entities.Limits.ConcurrentInvocations;
        if (put.Limits.Instances > concurrent)
        {
            return ApiAnswer.Error(400, EntityTexts.InstancesExceed(concurrent));
        }

        var kind = put.Exec?.Exec.Kind ?? old?.Exec.Kind;
        if (kind is null)
        {
            return ApiAnswer.Error(400, EntityTexts.ExecUndefined);
        }

        if (manifest.IsDeprecated(kind))
        {
            return ApiAnswer.Error(400, ApiTexts.KindRetired(kind));
        }

        if (components is not null && await _sequences.CheckAsync(name, components, call.Aborted) is { } broken)
        {
            return broken;
        }

        // The turn keeps a package from being deleted between the check below and the write, which would leave the action without its package.
        using var turn = name.Package is null ? null : await entities.TakeTurnAsync(PackageOf(name), call.Aborted);
        return await CheckPackageAsync(name, call.Aborted)
            ?? await WriteAsync(call, put.Over(name, old, entities.Limits.OfNewAction(), entities.Stamp()), put.Exec?.Code);
    }

    private async ValueTask<ApiAnswer> WriteAsync(ApiCall call, ActionDocument action, byte[]? code)
    {
        if (code is null)
        {
            return await AnswerAsync(action, await answers.CodeOfAsync(call, action), async () => await entities.Store.PutAsync(action, null, call.Aborted) is not null);
        }

        return call.TryHold(code.Length, out var lease)
            ? await AnswerAsync(action, new AnsweredCode(code, null, lease), async () => await entities.Store.PutAsync(action, code, call.Aborted) is not null)
            : ApiAnswer.Error(503);
    }

    /// <summary>Writes, and answers with the action and its code. The answer is made before the write, so that no change is made that cannot be answered.</summary>
    private static async ValueTask<ApiAnswer> AnswerAsync(ActionDocument action, AnsweredCode code, Func<ValueTask<bool>> writeAsync)
    {
        var answer = EntityJson.Action(action, code, action.Parameters, binding: null);
        if (answer.Status == 503)
        {
            return answer;
        }

        var written = false;
        try
        {
            written = await writeAsync();
        }
        finally
        {
            if (!written)
            {
                answer.Discard();
            }
        }

        return written ? answer : ApiAnswer.Error(409, ApiTexts.Conflict);
    }

    private static FullyQualifiedName PackageOf(FullyQualifiedName action) => new(action.Namespace, null, action.Package!);

    /// <summary>An action may be written only into a plain package that exists.</summary>
    private async ValueTask<ApiAnswer?> CheckPackageAsync(FullyQualifiedName name, CancellationToken cancellationToken)
    {
        if (name.Package is null)
        {
            return null;
        }

        var (package, refusal) = await entities.RequireAsync<PackageDocument>(name.Path, cancellationToken);
        return refusal ?? (package!.Binding is null ? null : ApiAnswer.Error(400, EntityTexts.OnBinding));
    }
}
