using System.Diagnostics;

namespace Frusta.Invoker.Serve;

/// <summary>Work of a kind that may take long, done in order by a bounded number of threads of the pool, which has some left for everything else.</summary>
/// <param name="atOnce">How many threads.</param>
/// <param name="work">Does one piece, and throws nothing.</param>
internal sealed class WorkQueue<T>(int atOnce, Action<T> work)
{
    private readonly Lock _lock = new();
    private readonly Queue<T> _waiting = new();
    private int _working;

    public void Add(T piece)
    {
        lock (_lock)
        {
            _waiting.Enqueue(piece);
            if (_working == atOnce)
            {
                return;
            }

            _working++;
        }

        ThreadPool.UnsafeQueueUserWorkItem(static queue => queue.Work(), this, preferLocal: false);
    }

    private void Work()
    {
        while (TryTake(out var piece))
        {
            work(piece);
        }
    }

    private bool TryTake(out T piece)
    {
        lock (_lock)
        {
            if (_waiting.TryDequeue(out piece!))
            {
                return true;
            }

            _working--;
            Debug.Assert(_working >= 0 && _working < atOnce);
            return false;
        }
    }
}
