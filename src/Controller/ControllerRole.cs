using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Controller.Api;
using Frusta.Controller.Entities;
using Frusta.Controller.Entitlement;
using Frusta.Controller.Identities;
using Frusta.Controller.Invocation;
using Frusta.Store.Activations;
using Frusta.Store.Entities;
using Microsoft.Extensions.Logging;

namespace Frusta.Controller;

/// <summary>The controller of one process: its parts, put together in the order in which a request visits them.</summary>
public sealed class ControllerRole : IDisposable
{
    private readonly InvokeAction _invoke;
    private readonly InfoApi _info;
    private readonly Dispatch _dispatch;
    private readonly JsonWorkers _workers;
    private readonly RequestBodies _bodies;
    private readonly ByteBudget _answers;
    private readonly ControllerOptions _options;
    private readonly TimeProvider _clock;
    private readonly RequestLog _requests;
    private readonly ILogger<RestApi> _log;

    public ControllerRole(
        ControllerOptions options,
        LimitsOptions limits,
        RuntimesManifest manifest,
        FindIdentity findIdentity,
        IEntityStore documents,
        IActivationStore activations,
        IBus bus,
        Operations operations,
        TimeProvider clock,
        ILoggerFactory loggers)
    {
        _info = new InfoApi(limits, manifest, options.Info, operations);
        _workers = new JsonWorkers(options.LargeJson, "large bodies");
        _bodies = new RequestBodies(new ByteBudget(options.Bodies), _workers);
        var admit = new Admit(limits, clock);
        var entitle = new Entitle(documents);
        var entities = new EntityWrites(documents, limits, clock);
        var answers = new EntityAnswers(entities);
        _invoke = new InvokeAction(
            new ResolveAction(documents.GetAsync, options.Invocation), bus, _workers, manifest.IsDeprecated, options.Invocation, clock,
            loggers.CreateLogger<InvokeAction>());
        var fire = new FireTrigger(documents.GetAsync, _invoke, admit, entitle.CheckActivateAsync, bus, _workers, limits, clock);
        _dispatch = new Dispatch(
            new ActionsApi(entities, answers, entitle, manifest),
            new PackagesApi(entities, answers, entitle, manifest),
            new TriggersApi(entities, answers, entitle, manifest),
            new RulesApi(entities, answers, entitle, manifest),
            new LimitsApi(limits),
            new InvokeApi(admit, entitle.CheckActivateAsync, _invoke, limits),
            new FireApi(admit, entitle.CheckActivateAsync, fire, limits),
            new ActivationsApi(activations, limits));
        _answers = new ByteBudget(options.Answers);
        _options = options;
        _clock = clock;
        _requests = new RequestLog(loggers, clock);
        _log = loggers.CreateLogger<RestApi>();
        Api = ApiFor(findIdentity);
    }

    /// <summary>Answers requests.</summary>
    public RestApi Api { get; }

    /// <summary>The same API for a door with other subjects.</summary>
    public RestApi ApiFor(FindIdentity findIdentity) => new(_info, new Authenticate(findIdentity), _dispatch, _bodies, _answers, TimeSpan.FromMilliseconds(_options.AnswerStallMs), _options.Invocation.RetryAfterSeconds, _clock, _requests, _log);

    public void Dispose()
    {
        _invoke.Dispose();
        _workers.Dispose();
    }
}

/// <summary>The controller's options (section <c>Controller</c>).</summary>
public sealed class ControllerOptions
{
    public const string Section = "Controller";

    public InvocationOptions Invocation { get; set; } = new();

    /// <summary>Request bodies.</summary>
    public ByteBudgetOptions Bodies { get; set; } = new();

    public LargeJsonOptions LargeJson { get; set; } = new();

    /// <summary>The documents that a warm call finds in memory.</summary>
    public CachedEntityOptions Cache { get; set; } = new();

    public InfoOptions Info { get; set; } = new();

    /// <summary>Bytes of all answers that are being sent; a client that finds no room is told to come again (503).</summary>
    public ByteBudgetOptions Answers { get; set; } = new();

    /// <summary>Milliseconds that a client gets to take 64 KiB of an answer; a slower client is cut off. 1000 to 3600000.</summary>
    public int AnswerStallMs { get; set; } = 60_000;

    public string? Validate() => Invocation.Validate() ?? Bodies.Validate(Section + ":Bodies") ?? LargeJson.Validate(Section + ":LargeJson") ?? Answers.Validate(Section + ":Answers") ?? Cache.Validate(Section + ":Cache") ?? Info.Validate()
        ?? (AnswerStallMs is >= 1000 and <= 3_600_000 ? null : $"{Section}:{nameof(AnswerStallMs)} must be from 1000 to 3600000, but it is {AnswerStallMs}.");
}
