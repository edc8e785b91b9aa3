using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Frusta.Controller.Tests.Api;

/// <summary>A response whose client takes nothing until it is told to, as behind a kernel's buffer that is full; or all at once.</summary>
internal sealed class UnreadResponse : PipeWriter, IHttpResponseBodyFeature, IHttpRequestLifetimeFeature, IDisposable
{
    private readonly bool _reads;
    private readonly CancellationTokenSource _aborted = new();
    private readonly TaskCompletionSource _written = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource<FlushResult>? _waiting;

    /// <param name="reads">True for a client that takes everything at once.</param>
    public UnreadResponse(bool reads)
    {
        _reads = reads;
        Context.Features.Set<IHttpResponseBodyFeature>(this);
        Context.Features.Set<IHttpRequestLifetimeFeature>(this);
    }

    public DefaultHttpContext Context { get; } = new();

    /// <summary>Length of each write, and the thread that it was done on.</summary>
    public List<(int Bytes, int Thread)> Writes { get; } = [];

    /// <summary>All that was written.</summary>
    public MemoryStream Body { get; } = new();

    /// <summary>Ends when a write waits for the client.</summary>
    public Task Waiting => _written.Task;

    public CancellationToken RequestAborted { get => _aborted.Token; set => throw new NotSupportedException(); }

    public Stream Stream => throw new NotSupportedException();

    public PipeWriter Writer => this;

    /// <summary>The client has gone: the write that waits ends so.</summary>
    public void Reset() => _waiting!.SetResult(new FlushResult(isCanceled: false, isCompleted: true));

    /// <summary>The connection is ended.</summary>
    public void Abort()
    {
        _aborted.Cancel();
        _waiting?.TrySetException(new OperationCanceledException("The connection was ended."));
    }

    public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Writes.Add((source.Length, Environment.CurrentManagedThreadId));
        Body.Write(source.Span);
        if (_reads)
        {
            return new ValueTask<FlushResult>(default(FlushResult));
        }

        _waiting = new TaskCompletionSource<FlushResult>();
        _written.TrySetResult();
        return new ValueTask<FlushResult>(_waiting.Task);
    }

    public override void Advance(int bytes) => throw new NotSupportedException();

    public override void CancelPendingFlush() => throw new NotSupportedException();

    public override void Complete(Exception? exception = null)
    {
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public override Memory<byte> GetMemory(int sizeHint = 0) => throw new NotSupportedException();

    public override Span<byte> GetSpan(int sizeHint = 0) => throw new NotSupportedException();

    public void DisableBuffering()
    {
    }

    public Task StartAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

    public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public Task CompleteAsync() => Task.CompletedTask;

    public void Dispose()
    {
        _aborted.Dispose();
        Body.Dispose();
    }
}
