using Frusta.Contracts.Buffers;
using Frusta.Contracts.Json;
using Frusta.Contracts.Names;
using Frusta.Controller.Entitlement;
using Frusta.Controller.Refusals;
using Microsoft.AspNetCore.Http;

namespace Frusta.Controller.Api;

/// <summary>Chooses the handler by collection and method. A method that a collection does not offer is answered like a path that does not exist (404).</summary>
public sealed class Dispatch(
    ActionsApi actions,
    PackagesApi packages,
    TriggersApi triggers,
    RulesApi rules,
    LimitsApi limits,
    InvokeApi invoke,
    FireApi fire,
    ActivationsApi activations)
{
    /// <summary>The one namespace that a key belongs to.</summary>
    public static ApiAnswer Namespaces(ApiCall call)
    {
        var body = PooledBuffer.Rent(call.Caller.NamespaceName.Length + 8);
        body.Write("["u8);
        JsonText.WriteString(body, call.Caller.NamespaceName);
        body.Write("]"u8);
        return ApiAnswer.Ok(body);
    }

    public ValueTask<ApiAnswer> AnswerAsync(ApiCall call, Route route)
    {
        var method = call.Context.Request.Method;
        if (route.Collection == Collection.Activations && route.Name is { } id)
        {
            return HttpMethods.IsGet(method) ? ActivationAsync(call, route, id) : NoRouteAsync();
        }

        if (route.Name is null)
        {
            return HttpMethods.IsGet(method) ? ListAsync(call, route) : NoRouteAsync();
        }

        var name = new FullyQualifiedName(route.Namespace, route.Package, route.Name);
        return route.Collection switch
        {
            Collection.Actions when HttpMethods.IsPost(method) => invoke.InvokeAsync(call, name),
            Collection.Triggers when HttpMethods.IsPost(method) => fire.FireAsync(call, name),
            _ => call.Bodies.Workers.RunAsync(call.Caller.NamespaceUuid, () => EntityAsync(call, route.Collection, method, name)),
        };
    }

    /// <summary>Reads or writes one entity. It runs under the workers for large JSON, since the entity may be too large for an event loop.</summary>
    private ValueTask<ApiAnswer> EntityAsync(ApiCall call, Collection collection, string method, FullyQualifiedName name)
    {
        return collection switch
        {
            Collection.Actions when HttpMethods.IsGet(method) => actions.GetAsync(call, name),
            Collection.Actions when HttpMethods.IsPut(method) => actions.PutAsync(call, name),
            Collection.Actions when HttpMethods.IsDelete(method) => actions.DeleteAsync(call, name),
            Collection.Triggers when HttpMethods.IsGet(method) => triggers.GetAsync(call, name),
            Collection.Triggers when HttpMethods.IsPut(method) => triggers.PutAsync(call, name),
            Collection.Triggers when HttpMethods.IsDelete(method) => triggers.DeleteAsync(call, name),
            Collection.Rules when HttpMethods.IsPost(method) => rules.PostAsync(call, name),
            Collection.Rules when HttpMethods.IsGet(method) => rules.GetAsync(call, name),
            Collection.Rules when HttpMethods.IsPut(method) => rules.PutAsync(call, name),
            Collection.Rules when HttpMethods.IsDelete(method) => rules.DeleteAsync(call, name),
            Collection.Packages when HttpMethods.IsGet(method) => packages.GetAsync(call, name),
            Collection.Packages when HttpMethods.IsPut(method) => packages.PutAsync(call, name),
            Collection.Packages when HttpMethods.IsDelete(method) => packages.DeleteAsync(call, name),
            _ => NoRouteAsync(),
        };
    }

    private ValueTask<ApiAnswer> ListAsync(ApiCall call, Route route)
    {
        // For a list of one package's actions the right to read that package is checked instead.
        if (route.Package is { } package)
        {
            return actions.ListPackageAsync(call, route.Namespace, package);
        }

        if (Entitle.CheckCollection(call.Caller, route.Collection == Collection.Packages, route.Namespace) is { } forbidden)
        {
            return new(forbidden);
        }

        return route.Collection switch
        {
            Collection.Actions => actions.ListAsync(call, route.Namespace),
            Collection.Triggers => triggers.ListAsync(call, route.Namespace),
            Collection.Rules => rules.ListAsync(call, route.Namespace),
            Collection.Packages => packages.ListAsync(call, route.Namespace),
            Collection.Activations => activations.ListAsync(call, route.Namespace),
            _ => new(limits.Get(call)),
        };
    }

    private ValueTask<ApiAnswer> ActivationAsync(ApiCall call, Route route, string text)
    {
        if (!ActivationsApi.ReadId(text).TryGet(out var id, out var malformed))
        {
            return new(malformed);
        }

        if (Entitle.CheckActivation(call.Caller, route.Namespace, text) is { } forbidden)
        {
            return new(forbidden);
        }

        return route.Package switch
        {
            null => activations.GetAsync(call, route.Namespace, id),
            "result" => activations.ResultAsync(call, route.Namespace, id),
            "logs" => activations.LogsAsync(call, route.Namespace, id),
            _ => NoRouteAsync(),
        };
    }

    private static ValueTask<ApiAnswer> NoRouteAsync() => new(ApiAnswer.Error(404, ApiTexts.NoRoute));
}
