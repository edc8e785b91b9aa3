using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Names;
using Frusta.Controller.Entities;
using Frusta.Controller.Entitlement;
using Frusta.Controller.Refusals;
using Frusta.Store.Entities;

namespace Frusta.Controller.Api;

/// <summary><c>.../packages</c>: plain packages, and bindings to those of others.</summary>
public sealed class PackagesApi(EntityWrites entities, EntityAnswers answers, Entitle entitle, RuntimesManifest manifest)
{
    private const string BindingKey = "binding";

    public ValueTask<ApiAnswer> ListAsync(ApiCall call, string namespaceName)
    {
        var isOwn = string.Equals(call.Caller.NamespaceName, namespaceName, StringComparison.Ordinal);
        return answers.ListAsync(call, "packages", new EntityQuery(EntityKind.Package, namespaceName, PublishedOnly: !isOwn));
    }

    public async ValueTask<ApiAnswer> GetAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entitle.CheckAsync(call.Caller, Right.Read, EntityKind.Package, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        var followed = await entities.FollowAsync(name.DocumentId, call.Aborted);
        if (followed is { Outcome: ResolveOutcome.Found, ProviderOutcome: ResolveOutcome.NotFound })
        {
            return ApiAnswer.Error(404, EntityTexts.NamedMissing(name.DocumentId));
        }

        return EntityWrites.RefusalOf(followed.End) is { } refused
            ? refused
            : await answers.PackageAsync(call, followed.Package!, followed.Parameters, (followed.Provider ?? followed.Package!).Name);
    }

    public async ValueTask<ApiAnswer> PutAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entitle.CheckAsync(call.Caller, Right.Put, EntityKind.Package, name, call.Aborted) is { } forbidden)
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

            if (string.Equals(name.Name, "default", StringComparison.Ordinal))
            {
                return ApiAnswer.Error(400, EntityTexts.ReservedName);
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
        if (await entitle.CheckAsync(call.Caller, Right.Delete, EntityKind.Package, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        if (!call.Query.Boolean("force", byDefault: false).TryGet(out var force, out var malformed))
        {
            return malformed;
        }

        using var turn = await entities.TakeTurnAsync(name, call.Aborted);
        return await answers.ChangeAsync(() => DeleteAsync(name, force, call.Aborted), call.Aborted);
    }

    private static Reading<PutPackage> Read(EntityBody body, string own) =>
        ReadBinding(body, own).TryGet(out var binding, out var refusal)
        && body.Version().TryGet(out var version, out refusal)
        && body.Publish().TryGet(out var publish, out refusal)
            ? new PutPackage(binding, body.Parameters, body.Annotations, version, publish)
            : refusal;

    private static Reading<FullyQualifiedName?> ReadBinding(EntityBody body, string own)
    {
        if (!body.TryGetEvenNull("binding", out var binding))
        {
            return default;
        }

        if (binding.ValueKind != JsonValueKind.Object)
        {
            return Refusal.Malformed("binding must be an object");
        }

        if (binding.IsEmptyObject())
        {
            return default;
        }

        return Member(binding, "namespace").TryGet(out var root, out var refusal) && Member(binding, "name").TryGet(out var name, out refusal)
            ? new FullyQualifiedName(string.Equals(root, "_", StringComparison.Ordinal) ? own : root, null, name)
            : refusal;
    }

    private static Reading<string> Member(JsonSlice binding, string name)
    {
        if (!binding.TryGetProperty(name, out var value))
        {
            return Refusal.Malformed(EntityTexts.MissingMember(name));
        }

        return value.ValueKind == JsonValueKind.String && EntityName.IsValid(value.GetString())
            ? value.GetString()
            : Refusal.Malformed($"The {name} of the binding contains illegal characters.");
    }

    private async ValueTask<ApiAnswer> PutAsync(ApiCall call, FullyQualifiedName name, bool overwrite, PutPackage put)
    {
        PackageDocument? target = null;
        if (put.Binding is { } wanted)
        {
            var (found, refusal) = await FindTargetAsync(call, wanted);
            if (refusal is { } refused)
            {
                return refused;
            }

            target = found;
        }

        var (old, conflict) = await entities.FindForPutAsync<PackageDocument>(name, overwrite, call.Aborted);
        if (conflict is { } conflicting)
        {
            return conflicting;
        }

        if (target is not null)
        {
            if (old is { Binding: null })
            {
                return ApiAnswer.Error(409, EntityTexts.NoConversion);
            }

            if (target.Binding is not null)
            {
                return ApiAnswer.Error(400, EntityTexts.BindsBinding);
            }
        }

        var binding = put.Binding ?? old?.Binding;
        var package = new PackageDocument
        {
            Name = name,
            Version = put.Version ?? (old is null ? SemanticVersion.First : SemanticVersion.Next(old.Version)),
            Publish = put.Publish ?? old?.Publish ?? false,
            Annotations = Annotations(put.Annotations ?? old?.Annotations ?? [], binding),
            Parameters = put.Parameters ?? old?.Parameters ?? [],
            Binding = binding,
            UpdatedMs = entities.Stamp(),
            Revision = old?.Revision ?? "",
        };
        return await entities.Store.PutAsync(package, null, call.Aborted) is null
            ? ApiAnswer.Error(409, ApiTexts.Conflict)
            : EntityJson.Package(package, package.Parameters);
    }

    private async ValueTask<(PackageDocument? Target, Refusal? Refusal)> FindTargetAsync(ApiCall call, FullyQualifiedName target)
    {
        if (!string.Equals(target.Namespace, call.Caller.NamespaceName, StringComparison.Ordinal))
        {
            if (await entitle.CheckAsync(call.Caller, Right.Read, EntityKind.Package, target, call.Aborted) is { } forbidden)
            {
                return (null, forbidden);
            }
        }

        var (outcome, found) = await entities.ReadAsync(target.DocumentId, call.Aborted).OfKindAsync<PackageDocument>();
        return outcome switch
        {
            ResolveOutcome.NotFound => (null, new Refusal(400, EntityTexts.BindsMissing)),
            ResolveOutcome.OtherCollection => (null, new Refusal(409, EntityTexts.BindsOther)),
            _ => (found, EntityWrites.RefusalOf(outcome)),
        };
    }

    /// <summary>Deletes a binding, or a plain package without actions; with <paramref name="force"/> a plain package together with its actions.</summary>
    private async ValueTask<Change<ApiAnswer>> DeleteAsync(FullyQualifiedName name, bool force, CancellationToken cancellationToken)
    {
        var (package, refusal) = await entities.RequireAsync<PackageDocument>(name.DocumentId, cancellationToken);
        if (refusal is { } refused)
        {
            return refused;
        }

        List<EntityChange> changes = [EntityChange.Delete(package!)];
        if (package!.Binding is null)
        {
            var query = new EntityQuery(EntityKind.Action, name.Namespace, name.Name);
            if (force)
            {
                changes.AddRange((await entities.Store.ListAsync(query, cancellationToken)).Select(EntityChange.Delete));
            }
            else if (await entities.Store.CountAsync(query, cancellationToken) is > 0 and var count)
            {
                return ApiAnswer.Error(409, EntityTexts.PackageNotEmpty(count));
            }
        }

        return new Change<ApiAnswer>(new EntityUnit(changes), () => EntityJson.Package(package, package.Parameters));
    }

    /// <summary>The annotations, with the server's own annotation <c>binding</c> in place of one that a client sent.</summary>
    private static List<KeyValue> Annotations(IReadOnlyList<KeyValue> annotations, FullyQualifiedName? binding)
    {
        List<KeyValue> kept = [.. annotations.Where(pair => !string.Equals(pair.Key, BindingKey, StringComparison.Ordinal))];
        if (binding is not null)
        {
            using var value = PooledBuffer.Rent();
            value.Write("{\"namespace\":"u8);
            JsonText.WriteString(value, binding.Namespace);
            value.Write(",\"name\":"u8);
            JsonText.WriteString(value, binding.Name);
            value.Write("}"u8);
            kept.Add(new KeyValue(BindingKey, value.Span.ToArray()));
        }

        return kept;
    }

    private sealed record PutPackage(
        FullyQualifiedName? Binding, IReadOnlyList<KeyValue>? Parameters, IReadOnlyList<KeyValue>? Annotations, string? Version, bool? Publish);
}
